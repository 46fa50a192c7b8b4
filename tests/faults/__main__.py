"""`make faults`: seeded runs of short programs under faults, each judged; the seeds that fail are named."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from faults.runs import Found, Leftovers, run
from faults.trials import Trial


def _say(found: Found, *, whole: bool) -> None:
    for wrong in found.wrong:
        print(f"FAILED seed {found.trial.seed}: {found.trial}: {wrong}", flush=True)
    if whole or found.wrong:
        print(f"  {found.did or 'nothing was done'}; {found.seconds:.1f} s")
        print("".join(f"  | {line}\n" for line in (found.out + found.err)[-6000:].splitlines()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, action="append", help="only this one, with what it prints")
    parser.add_argument("--seconds", type=float, help="no further run is begun after these")
    options = parser.parse_args()
    seeds = options.seed or range(options.first, options.first + options.runs)
    done: Counter[str] = Counter()
    failed: set[int] = set()
    slowest = ""
    longest, begun, leftovers = 0.0, time.monotonic(), Leftovers()
    for seed in seeds:
        if options.seconds and time.monotonic() - begun > options.seconds:
            break
        found = run(Trial.of(seed), leftovers)
        _say(found, whole=bool(options.seed))
        done[found.did or "nothing"] += 1
        if found.seconds > longest:
            longest, slowest = found.seconds, f"seed {seed} ({found.did}): {found.seconds:.1f} s"
        late = leftovers.see()
        failed |= {one.trial.seed for one in (found, *late) if one.wrong}
        for one in late:
            _say(one, whole=False)
    for one in leftovers.see(all_of_them=True):
        _say(one, whole=False)
        failed.add(one.trial.seed)
    print(f"{sum(done.values())} runs in {time.monotonic() - begun:.0f} s, the longest {slowest}")
    print("; ".join(f"{what} {times}" for what, times in sorted(done.items())))
    print(f"failed: {' '.join(map(str, sorted(failed))) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
