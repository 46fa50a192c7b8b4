"""What it costs to seal, number and open a message: `python tests/bench/seal.py`."""

from __future__ import annotations

import os
import timeit
from types import SimpleNamespace
from typing import Any, Callable

from transparent_mp.store.content import pack, unpack
from transparent_mp.store.replay import Numbers, Seen
from transparent_mp.store.seal import Seal

PLACE = "tmp:{0123456789abcdef.0123456789abcdef}:q0"


def best(do: Callable[[], Any], number: int) -> float:
    return min(timeit.repeat(do, number=number, repeat=7)) / number


def main() -> None:
    session: Any = SimpleNamespace(seal=Seal(os.urandom(32)), uid="0123456789abcdef", depot=None)
    for size in (100, 8192, 100_000):
        content, numbers, number = os.urandom(size), Numbers(), 2000 if size < 10_000 else 100
        sealed = best(lambda: pack(session, PLACE, content, "", numbers), number)  # noqa: B023
        seen = Seen()
        messages = iter([pack(session, PLACE, content, "", numbers)[1] for _ in range(7 * number)])
        opened = best(lambda: unpack(session, PLACE, next(messages), seen), number)  # noqa: B023
        print(f"{size:7} B   sender {sealed * 1e6:6.1f} us   receiver {opened * 1e6:6.1f} us")
    large = os.urandom(100_000_000)
    seconds = best(lambda: session.seal.tag(PLACE, large), 1)
    print(f" 100 MB     {len(large) / seconds / 1e9:.1f} GB/s on either side")


if __name__ == "__main__":
    main()
