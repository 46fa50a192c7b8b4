from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from typing import Callable

import pytest

from transparent_mp.store.commands import packed
from transparent_mp.store.telling import Telling
from transparent_mp.worker import running as running_module
from transparent_mp.worker.running import Running, reap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def forked(running: Running) -> int:
    """A child that writes what it receives to its stdout, and leaves with the length."""
    child = os.fork()
    if child == 0:
        stdout, _, _ = running.child_side()
        frame = running.receive()
        os.write(stdout, frame[:10])
        os._exit(min(len(frame), 100))
    running.parent_side(child)
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_receives_the_frame_it_is_given() -> None:
    running = Running()
    child = forked(running)
    running.give(7, b"frame")
    assert running.pid == 7
    assert exit_code(child) == 5
    assert running.read(next(iter(running.outputs))) == b"frame"
    running.close()


def test_a_frame_larger_than_a_pipe() -> None:
    running = Running()
    child = forked(running)
    running.give(7, b"x" * 1_000_000)
    assert exit_code(child) == 100
    running.close()


def test_what_is_waiting_is_counted() -> None:
    running = Running()
    child = forked(running)
    (fd, *_) = running.outputs
    assert running.waiting(fd) == 0
    running.give(7, b"frame")
    assert exit_code(child) == 5
    assert running.waiting(fd) == 5
    running.close()


def test_the_ended_are_reaped() -> None:
    # In a process that has no other children than these.
    tester = os.fork()
    if tester == 0:
        try:
            children = {}
            for code in (5, 0, -signal.SIGKILL):
                child = os.fork()
                if child == 0:
                    if code < 0:
                        signal.pause()
                    os._exit(code)
                children[child] = code
                if code < 0:
                    os.kill(child, -code)
            for child in children:
                os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            os._exit(0 if reap() == children and reap() == {} else 1)
        finally:
            os._exit(2)
    assert exit_code(tester) == 0


def test_a_spare_that_is_closed_receives_nothing() -> None:
    running = Running()
    child = forked(running)
    running.close()
    assert exit_code(child) == 0


def test_a_frame_for_a_child_that_is_gone_is_lost() -> None:
    running = Running()
    child = os.fork()
    if child == 0:
        os._exit(3)
    running.parent_side(child)
    assert exit_code(child) == 3
    running.give(7, b"x" * 1_000_000)
    running.close()


def test_every_fd_is_closed_in_the_end() -> None:
    before = os.listdir("/proc/self/fd")
    running = Running()
    child = forked(running)
    running.give(7, b"frame")
    exit_code(child)
    running.close()
    assert os.listdir("/proc/self/fd") == before


def test_what_a_child_says_is_read_after_its_end() -> None:
    running = Running()
    child = os.fork()
    if child == 0:
        running.child_side()
        running.say(["one", "two"])
        os._exit(0)
    running.parent_side(child)
    assert exit_code(child) == 0
    assert running.said() == ["one", "two"]
    running.close()


def test_a_child_that_says_too_much_does_not_wait() -> None:
    running = Running()
    child = os.fork()
    if child == 0:
        running.child_side()
        running.say(["x" * 200_000])
        running.say(["more"])
        os._exit(0)
    running.parent_side(child)
    assert exit_code(child) == 0
    running.close()


def test_connections_of_a_child_outlive_it_until_they_are_taken() -> None:
    running, (near, far) = Running(), socket.socketpair()
    child = os.fork()
    if child == 0:
        running.child_side()
        running.hold(far.fileno())
        # One that is none is not held, nor are more than the kernel takes.
        running.hold(9999)
        for _ in range(2000):
            running.hold(far.fileno())
        os._exit(0)
    running.parent_side(child)
    far.close()
    assert exit_code(child) == 0
    links = running.links()
    assert links
    assert running.links() == []
    links[0].sendall(b"still open")
    assert near.recv(100) == b"still open"
    for link in links:
        link.close()
    assert near.recv(1) == b""
    near.close()
    running.close()


def test_what_the_program_opened_in_place_of_its_channel_is_left_alone() -> None:
    running, (near, far) = Running(), socket.socketpair()
    child = os.fork()
    if child == 0:
        running.child_side()
        os.dup2(far.fileno(), running._links_there.fileno())
        running.hold(0)
        os._exit(0)
    running.parent_side(child)
    far.close()
    assert exit_code(child) == 0
    assert near.recv(100) == b""
    assert running.links() == []
    near.close()
    running.close()


def test_what_a_signal_handler_raises_meanwhile_is_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(*_: object) -> None:
        raise TimeoutError("from the handler")

    monkeypatch.setattr(socket, "send_fds", lambda *_: signal.raise_signal(signal.SIGALRM))
    running = Running()
    child = os.fork()
    if child == 0:
        running.child_side()
        signal.signal(signal.SIGALRM, handle)
        try:
            running.hold(0)
        except TimeoutError:
            os._exit(7)
        os._exit(0)
    running.parent_side(child)
    assert exit_code(child) == 7
    running.close()


#: Exit code of a child that has not left ahead of its end.
STAYED = 7


def leaving(
    before: Callable[[], object] = lambda: None, after: Callable[[], object] = signal.pause
) -> Running:
    """A child that leaves ahead of its end, which comes when `after` returns."""
    running = Running()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            stdout, stderr, _ = running.child_side()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)
            os.write(1, b"last words")
            # The process of the tests is larger than a worker's.
            running_module.SMALL = sys.maxsize
            before()
            running.say(["one"])
            left = running.leave()
            after()
            os._exit(0 if left else STAYED)
        os._exit(1)
    running.parent_side(child)
    return running


def read_out(running: Running) -> bytes:
    """What the child has written, when it has closed its outputs."""
    found = b""
    for fd in list(running.outputs):
        os.set_blocking(fd, True)
        while data := running.read(fd):
            found += data
    return found


def test_a_child_that_leaves_is_seen_to_before_its_end() -> None:
    near, far = socket.socketpair()
    running = leaving()
    near.close()
    assert read_out(running) == b"last words"
    assert running.has_left()
    assert running.said() == ["one"]
    # It is still there, and nothing is open in it any more.
    assert far.recv(1) == b""
    os.kill(running.child, signal.SIGKILL)
    assert exit_code(running.child) == -signal.SIGKILL
    far.close()
    running.close()


def another_thread() -> None:
    threading.Thread(target=signal.pause, daemon=True).start()


def no_memory() -> None:
    running_module.SMALL = 0


def no_channel() -> None:
    for fd in range(3, max(map(int, os.listdir("/proc/self/fd"))) + 1):
        with contextlib.suppress(OSError):
            os.close(fd)


@pytest.mark.parametrize("before", [another_thread, no_memory, no_channel])
def test_a_child_in_which_more_is_alive_is_waited_for(before: Callable[[], object]) -> None:
    running = leaving(before, lambda: None)
    assert exit_code(running.child) == STAYED
    assert read_out(running) == b"last words"
    assert not running.has_left()
    running.close()


def told(before: Callable[[Running], object], heard: bytes = b"") -> bytes:
    """What a child tells of its end itself, which does `before`; its parent first reads what is `heard`."""
    near, far = socket.socketpair()
    running = Running()
    go_on, goes = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            stdout, stderr, _ = running.child_side()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            running_module.SMALL = sys.maxsize
            before(running)
            os.close(goes)
            os.read(go_on, 1)
            running.leave((Telling(near), packed(("TOLD",))))
        os._exit(0)
    near.close()
    os.close(go_on)
    running.parent_side(child)
    out = min(running.outputs)
    if heard:
        os.set_blocking(out, True)
        assert running.read(out) == heard
    os.close(goes)
    assert exit_code(child) == 0
    with far, far.makefile("rb") as file:
        running.close()
        return file.read()


def nothing(_running: Running) -> None:
    pass


def writes(_running: Running) -> None:
    os.write(1, b"words")


def redirects(_running: Running) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def keeps_a_lock(running: Running) -> None:
    running.held.note("0" * 16)


def keeps_a_result(running: Running) -> None:
    running.untold.begin(["name"])
    running.untold.add(bytes(16), b"result")


def test_a_child_of_which_nothing_else_is_told_tells_of_its_end() -> None:
    assert told(nothing) == b"*1\r\n$4\r\nTOLD\r\n"


@pytest.mark.parametrize("before", [writes, redirects, keeps_a_lock, keeps_a_result])
def test_a_child_of_which_more_is_to_be_told_first_does_not(before: Callable[[Running], object]) -> None:
    assert told(before) == b""


def test_nor_one_whose_words_may_be_on_their_way() -> None:
    assert told(writes, heard=b"words") == b""


def test_that_its_output_is_read_after_its_end_leaves_its_connections() -> None:
    near, far = socket.socketpair()
    running = Running()
    child = os.fork()
    if child == 0:
        running.child_side()
        running.hold(near.fileno())
        os._exit(7)
    running.parent_side(child)
    near.close()
    assert exit_code(child) == 7
    assert read_out(running) == b""
    (link,) = running.links()
    link.send(b"sent")
    assert far.recv(4) == b"sent"
    link.close()
    far.close()
    running.close()
