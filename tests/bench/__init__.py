"""Speed, beside the standard library's in the same run: `python -m tests.bench` (docs/performance.md).

__main__     the run: variants, rounds, what is asked of whom
rows         what is measured, and its targets
operations   the measured programs' parts;  measure, cold: the scripts each variant runs
report       table, JSON and plot
proxy        the delaying proxy behind --latency
"""
