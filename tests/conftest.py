"""For every test: an AWS of the tests' own; signals as a program gets them from a shell in the foreground."""

from __future__ import annotations

import signal

from aws_fixtures import aws, aws_server, wheels  # noqa: F401  fixtures

# A shell in the background and nohup leave these ignored, and every program that a test starts would
# inherit that: a Ctrl-C, or a child ended by SIGHUP, could not be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(_number, signal.SIG_DFL)
