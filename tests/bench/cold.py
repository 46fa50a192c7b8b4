"""A whole program with one process, for the row `cold`."""

from __future__ import annotations

import os

if os.environ.get("BENCH_VARIANT") == "lithops":
    import lithops.multiprocessing as mp
else:
    import multiprocessing as mp


def nothing() -> None:
    """The process."""


if __name__ == "__main__":
    if os.environ.get("BENCH_START"):
        mp.set_start_method(os.environ["BENCH_START"])
    process = mp.Process(target=nothing)
    process.start()
    process.join()
