from __future__ import annotations

import ctypes
import gc
import mmap
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable, NoReturn

import pytest

from transparent_mp.primitives import ahead
from transparent_mp.ship.frames import encode, pair
from transparent_mp.store.content import pack
from transparent_mp.store.session import OwnedSession, new_id
from transparent_mp.worker import child, pages, siblings, template
from transparent_mp.worker.running import Running
from transparent_mp.worker.shelf import Shelf
from transparent_mp.worker.template import SLOTS, State, Template

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or siblings.calls() is None, reason="nobody forks siblings here"
)

#: Seconds: the end of what hangs.
LIMIT = 60.0

Begin = Callable[[Callable[[Any], Any]], Template]


def nothing(_session: Any) -> None:
    pass


def answers(running: Running, _ticket: Any, _shelf: Any, _parent: int, prepared: Any) -> NoReturn:
    """A process that writes what it was prepared with, and its frame, and exits with the length of that."""
    frame = running.receive()
    if not frame:
        os._exit(0)
    if frame == b"wanted?":
        os._exit(100 + running.wanted)
    if frame == b"own?":
        os._exit(100 + len(list(pages._exclusive([prepared.made]))))
    if frame == b"write":
        ctypes.memset(
            prepared.made[0] * mmap.PAGESIZE, 1, (prepared.made[1] - prepared.made[0]) * mmap.PAGESIZE
        )
        prepared.pages.tell()
    os.write(1, f"{prepared.made} {frame.decode()}".encode())
    os._exit(len(frame))


@pytest.fixture
def begin(session: OwnedSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begin a template, whose processes have in common what a function makes of their session."""
    shelf, uid, begun = Shelf(), new_id(), []
    _, body = pack(session, "process:" + uid, pair(b"common", b"object"))
    frame = encode({"kind": "run", "uid": uid}, ahead.NO_WORD + body)
    ticket = dict(session.ticket(), log="warning", worker="w")

    def begin(prepare: Callable[[Any], Any]) -> Template:
        def copied(given: Any, _worker: str, _shelf: Shelf, common: bytes, _telling: Any, *rest: Any) -> Any:
            assert common == b"common"
            return SimpleNamespace(made=prepare(given), pages=rest[0], approach=lambda _ticket: None)

        monkeypatch.setattr(child, "Copied", copied)
        begun.append(template.begin(session, "like", frame, lambda: None, ticket, shelf, answers))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()
        code_of(one.child)
    shelf.clear()


def code_of(number: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def settled(made: Template) -> State:
    """Its state when it has made ready."""
    assert select.select([made._here], [], [], LIMIT)[0]
    made.ready()
    return made.state


def output(running: Running) -> str:
    fd = next(fd for fd, number in running.outputs.items() if number == 1)
    os.set_blocking(fd, True)
    return os.read(fd, 1000).decode()


def copy_of(made: Template) -> Running:
    running = made.fork()
    assert running is not None
    return running


def test_it_is_copied_for_each_process(begin: Begin) -> None:
    made = begin(lambda _session: os.getpid())
    assert settled(made) is State.READY
    for number in range(3):
        running = copy_of(made)
        assert running.like == "like"
        running.give(7, b"x" * (number + 1))
        assert output(running) == f"{made.child} {'x' * (number + 1)}"
        # Ours, though the template has forked it.
        assert code_of(running.child) == number + 1
        running.close()


def test_a_copy_knows_whether_it_is_wanted_at_once(begin: Begin) -> None:
    made = begin(nothing)
    assert settled(made) is State.READY
    ahead = made.order()
    assert ahead is not None
    assert made.arrived(ahead)
    for running, code in ((ahead, 100), (copy_of(made), 101)):
        running.give(7, b"wanted?")
        assert code_of(running.child) == code
        running.close()


def test_what_one_copy_has_written_to_the_next_ones_have_for_their_own(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = mmap.mmap(-1, 8 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * len(memory))
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory)) // mmap.PAGESIZE
    # Who is forked here is a process with many tests' memory.
    monkeypatch.setattr(pages, "_private", lambda _size: iter([(first, first + 8)]))
    made = begin(lambda _session: (first, first + 8))
    assert settled(made) is State.READY

    def code(frame: bytes, *, wanted: bool = False) -> int:
        running = made.order(wanted=wanted)
        assert running is not None
        assert made.arrived(running)
        running.give(7, frame)
        found = code_of(running.child)
        running.close()
        return found

    assert code(b"own?") == 100
    assert code(b"write") == len("write")
    assert code(b"own?") == 108
    # Who is wanted at once has no time for that.
    assert code(b"own?", wanted=True) == 100


def test_several_at_once_have_memory_of_their_own(begin: Begin) -> None:
    made = begin(nothing)
    assert settled(made) is State.READY
    crew = [copy_of(made) for _ in range(SLOTS)]
    assert made.fork() is None
    assert len({id(running.untold) for running in crew}) == SLOTS
    crew[3].untold.begin(["name"])
    crew[3].close()
    # What is free again is empty.
    again = copy_of(made)
    assert again.untold.told() == ([], [])
    for running in (*crew[:3], again, *crew[4:]):
        running.give(7, b"abc")
        assert output(running) == "None abc"
        running.close()
    assert sorted(code_of(running.child) for running in (*crew[:3], again, *crew[4:])) == [3] * SLOTS
    assert code_of(crew[3].child) == 0


def start_a_thread(_session: Any) -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def start_a_process(_session: Any) -> None:
    subprocess.Popen(["sleep", "60"])


KEPT: list[Any] = []


def keep_a_file(_session: Any) -> None:
    KEPT.append(os.open(os.devnull, os.O_RDONLY))


def keep_shared_memory(_session: Any) -> None:
    KEPT.append(mmap.mmap(-1, 4096))


def use_the_store(session: Any) -> None:
    session.store.ask("PING")


def use_the_store_in_vain(session: Any) -> None:
    session.store.soon(("PING",))


def fail(_session: Any) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    "body",
    [
        start_a_thread,
        start_a_process,
        keep_a_file,
        keep_shared_memory,
        use_the_store,
        use_the_store_in_vain,
        fail,
        lambda _session: print("loud", file=sys.__stdout__),
        lambda _session: print("loud", end="", file=sys.__stderr__),
        lambda _session: os.write(2, b"loud"),
        lambda _session: sys.exit(),
        lambda _session: os.kill(os.getpid(), signal.SIGKILL),
    ],
)
def test_what_is_not_memory_alone_makes_it_unfit(begin: Begin, body: Callable[[Any], Any]) -> None:
    made = begin(body)
    assert settled(made) is State.GONE
    assert not made.ready()


class Garbage:
    """A file that is open until the collector comes."""

    def __init__(self) -> None:
        self.me = self
        self.file = os.open(os.devnull, os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self.file)


def test_a_file_in_the_place_of_garbage_makes_it_unfit(begin: Begin) -> None:
    def collect_and_keep(session: Any) -> None:
        gc.collect()
        keep_a_file(session)

    gc.disable()
    try:
        Garbage()
        assert settled(begin(collect_and_keep)) is State.GONE
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "body", [lambda _session: [object() for _ in range(1000)], lambda _session: open(os.devnull).close()]
)
def test_what_is_memory_alone_does_not(begin: Begin, body: Callable[[Any], Any]) -> None:
    assert settled(begin(body)) is State.READY


def test_one_that_was_killed_is_gone(begin: Begin) -> None:
    made = begin(nothing)
    assert settled(made) is State.READY
    os.kill(made.child, signal.SIGKILL)
    assert os.waitid(os.P_PID, made.child, os.WEXITED | os.WNOWAIT) is not None
    assert made.fork() is None
    assert made.state is State.GONE


def test_one_that_does_not_answer_is_killed(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(nothing)
    assert settled(made) is State.READY
    os.kill(made.child, signal.SIGSTOP)
    os.waitid(os.P_PID, made.child, os.WSTOPPED | os.WNOWAIT)
    monkeypatch.setattr(template, "PATIENCE", 0.01)
    assert made.fork() is None
    assert made.state is State.GONE
    # It ends though it was stopped; the fixture waits for it.


def test_it_is_not_asked_before_it_is_ready(begin: Begin) -> None:
    reader, writer = os.pipe()

    def wait(_session: Any) -> None:
        os.read(reader, 1)

    made = begin(wait)
    assert not made.ready()
    assert made.state is State.PREPARING
    os.write(writer, b"x")
    assert settled(made) is State.READY
    os.close(reader)
    os.close(writer)


def test_one_that_is_not_wanted_any_more_leaves(begin: Begin) -> None:
    reader, writer = os.pipe()
    made = begin(lambda _session: os.read(reader, 1))
    made.close()
    # It tells nobody that it is ready, and does not go on as who has forked it.
    os.write(writer, b"x")
    ended = os.waitid(os.P_PID, made.child, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert (ended.si_code, ended.si_status) == (os.CLD_EXITED, template.UNFIT)
    os.close(reader)
    os.close(writer)
