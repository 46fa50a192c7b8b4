from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


class TestAlone:
    """A merge may write bytes that did not change only when nobody else may be writing them."""

    def said(self, code):
        """What `code` prints in an interpreter that nobody else has left a thread or a handler in."""
        head = """
import signal, sys, threading
sys.path.append(sys.argv[1])
from transparent_mp import background
from transparent_mp.primitives import alone
"""
        command = [sys.executable, "-c", head + textwrap.dedent(code), str(Path(__file__).parents[3])]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    def test_the_main_thread_of_a_program_without_others(self):
        assert self.said("print(alone.is_alone())") == ["True"]

    def test_not_beside_a_thread(self):
        code = """
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait)
            thread.start()
            print(alone.is_alone())
            stop.set()
            thread.join()
            print(alone.is_alone())
            """
        assert self.said(code) == ["False", "True"]

    def test_not_in_a_thread_of_our_own(self):
        code = """
            done = threading.Event()
            background.start(lambda: (print(alone.is_alone()), done.set()))
            print(done.wait(10))
            """
        assert self.said(code) == ["False", "True"]

    def test_not_with_a_handler_that_may_come_between(self):
        code = """
            before = signal.signal(signal.SIGUSR1, lambda *_: None)
            print(alone.is_alone())
            signal.signal(signal.SIGUSR1, before)
            print(alone.is_alone())
            """
        assert self.said(code) == ["False", "True"]

    def test_beside_those_that_write_nothing(self):
        code = """
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.signal(signal.SIGUSR2, background.start)
            print(alone.is_alone())
            """
        assert self.said(code) == ["True"]
