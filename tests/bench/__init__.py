"""Speed, beside the standard library's in the same run: `python -m tests.bench` (docs/performance.md).

__main__     the run: variants, rounds, what is asked of whom
rows         what is measured, and its targets
measure      the script each variant runs, and cold, a whole program
operations   what is measured, in of_locks, of_messages and of_processes
report       table, JSON and plot
proxy        the delaying proxy behind --latency
"""
