"""For every test: an AWS of the tests' own, signals as from a shell in the foreground, an end that comes."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

import pytest
from aws_fixtures import aws, aws_server, wheels  # noqa: F401  fixtures

# A shell in the background and nohup leave these ignored, and every program that a test starts would
# inherit that: a Ctrl-C, or a child ended by SIGHUP, could not be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(_number, signal.SIG_DFL)

#: Seconds after which a test is taken to hang, unless TEST_HANGS says another number. Many times what any
#: takes in the default run, where one that hangs would take the results of all the others with it; short of
#: what CI allows the whole.
HANGS = int(os.environ.get("TEST_HANGS", "900"))

STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    # Nothing is captured now: this is where the run's own words go.
    config.stash[STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that hangs fails; where that does not help, the run ends and says where it stood."""
    stderr = item.config.stash[STDERR]

    until = time.monotonic() + HANGS - 1

    def hangs(_number: int, _frame: FrameType | None) -> None:
        if time.monotonic() < until:
            # The last ring of a test's own timer.
            return
        faulthandler.dump_traceback(stderr)
        pytest.fail(f"the test hangs: it has not ended after {HANGS} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANGS)
    faulthandler.dump_traceback_later(HANGS + 60, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
