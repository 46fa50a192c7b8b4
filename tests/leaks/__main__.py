"""`make leaks`: every case at full length, and a table of what was there before its last round and after."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tests.leaks.leak_runs import COUNTS, MB, grown, run

#: Column -> its figures.
SHOWN = (
    ("client MB", "client_rss", MB),
    ("worker MB", "worker_rss", MB),
    ("store MB", "store_memory", MB),
    ("keys", "store_keys", 1),
    ("their members", "store_members", 1),
    ("connections", "store_connections", 1),
    ("client fds", "client_fds", 1),
    ("client threads", "client_threads", 1),
    ("worker fds", "worker_fds", 1),
    ("processes", "processes", 1),
    ("files", "files", 1),
)


def _change(found: dict[str, Any], name: str, unit: int) -> str:
    if name not in found["first"]:
        return ""
    before, after = (found[when][name] / unit for when in ("first", "last"))
    return f"{before:.1f} -> {after:.1f}" if unit > 1 else f"{before:.0f} -> {after:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[*COUNTS, []], help="only these")
    parser.add_argument("--quick", action="store_true", help="a twentieth of each")
    options = parser.parse_args()
    print(
        "| case | count | s |",
        *(f" {head} |" for head, _, _ in SHOWN),
        " peaks MB: sender, receiver, store |",
    )
    print("| --- " * (len(SHOWN) + 4) + "|")
    leaks = 0
    for case in options.cases or COUNTS:
        found = run(case, COUNTS[case][1] // (20 if options.quick else 1))
        cells = " | ".join(_change(found, name, unit) for _, name, unit in SHOWN)
        peaks = ", ".join(f"{figure / MB:.0f}" for figure in found["peaks"].values())
        print(f"| {case} | {found['count']:,} | {found['seconds']:.1f} | {cells} | {peaks} |", flush=True)
        for complaint in grown(found):
            leaks += 1
            print(f"LEAK in {case}: {complaint}", flush=True)
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
