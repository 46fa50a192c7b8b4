"""Transitions of a session's state, each as the script that makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from transparent_mp.store.content import BLOB, pack
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.scripts import FEW, evaluated, script, together
from transparent_mp.store.session import OwnedSession


class Book:
    """The session's scripts, called as their callers do."""

    def __init__(self, session: OwnedSession) -> None:
        self._session = session
        self._keys = session.keys

    def ask(self, *command: Any) -> Any:
        return self._session.store.ask(*command)

    def run(self, name: str, parts: tuple[str, ...], *args: Any) -> Any:
        return self.ask(*self._session.script(name, parts, args))

    def submit(self, name: str = "p", limit: int = 0, *workers: Any) -> list[int]:
        """Without the workers that are to be launched, where none may be."""
        parts = ("pids", "workers", "starting", "ready", "keys")
        args = (self._keys.base, "uid-" + name, "parent", name, b"body", self._session.ttl, FIRST_PID, limit)
        *answer, missing = self.run("submit", parts, *args, *workers)
        assert workers or missing == 0
        return [*answer, missing] if workers else answer

    def check_in(self, worker: str, slots: int = 10, cores: int = 1) -> int:
        self.ask("SADD", self._keys("starting"), worker)
        return self.check_in_again(worker, slots, cores)

    def check_in_again(self, worker: str, slots: int = 10, cores: int = 1) -> int:
        parts = ("alive", "workers", "starting", "ready", "keys")
        args = (self._keys.base, worker, slots, "host", 1000, self._session.ttl, cores)
        return int(self.run("check_in", parts, *args))

    def retire(self, worker: str) -> list[int]:
        return list(self.run("retire", ("workers", "starting", "ready"), worker))

    def pass_on(self, pid: int, uid: str, worker: str, *holds: str) -> Any:
        parts = ("workers", "starting", "ready", "objects", "keys")
        bases = (self._keys.base, self._keys.any_object)
        return self.run("pass_on", parts, *bases, pid, uid, b"body", self._session.ttl, worker, 0, *holds)

    def exited(self, pid: int, code: int, worker: str) -> int:
        args = (self._keys.base, self._keys.any_object, pid, code, self._session.ttl, worker)
        return int(self.run("exited", ("workers", "ready", "objects", "keys"), *args))

    def give_up(self, worker: str, when: str = "now") -> Any:
        args = (self._keys.base, worker, when, self._session.ttl)
        return self.run("give_up", ("workers", "starting", "keys", "ready"), *args)

    def take(self, worker: str) -> Any:
        """As a worker takes what comes next for it."""
        return self.ask("LPOP", self._keys("control", worker))

    def renew(self, worker: str) -> int:
        names = [self._keys("alive"), self._keys("workers"), self._keys("lease", worker)]
        return int(self.ask(*script("renew", names, (worker, 1000))))

    def admit(self, kind: str, of: str, owner: str, link: str = "a 1:2") -> int:
        names = [self._keys("alive"), self._keys("links", owner), self._keys("keys")]
        names += [self._keys("line", link), self._keys("taken", link)]
        args = (self._keys.base, kind, of, owner, link, link, self._session.ttl, "")
        return int(self.ask(*evaluated("admit", names, args)))

    def fence(self, pid: int, worker: str) -> Any:
        return self.ask(*script("fence", [self._keys("running", worker)], (self._keys.base, pid)))

    def signal(self, pid: int, number: int) -> int:
        return int(self.run("signal", ("ready", "keys"), self._keys.base, pid, number, self._session.ttl))

    def frames(self, part: str, of: str) -> list[Any]:
        found = self.ask("LRANGE", self._keys(part, of), 0, -1)
        return [json.loads(frame.partition(b"\n")[0]) for frame in found]


@pytest.fixture
def book(session: OwnedSession) -> Book:
    return Book(session)


def test_a_process_waits_for_a_worker_which_gets_it_by_checking_in(book: Book) -> None:
    assert book.submit() == [FIRST_PID, 0, 0, 0, 1]
    assert book.check_in("w") == 1
    (frame,) = book.frames("control", "w")
    assert (frame["kind"], frame["pid"], frame["name"]) == ("run", FIRST_PID, "p")
    assert book.submit("q")[:2] == [FIRST_PID + 1, 0]


def test_workers_are_awaited_for_it_and_for_those_to_follow(book: Book, session: OwnedSession) -> None:
    def awaited() -> list[str]:
        return sorted(name.decode() for name in book.ask("SMEMBERS", session.keys("starting")))

    assert book.submit("first", 0, "a", 3, 1) == [FIRST_PID, 0, 0, 0, 1, 3]
    assert awaited() == ["a-1", "a-2", "a-3"]
    # They are on their way: no more for those, one more for another.
    assert [book.submit("next", 0, "b", 1, 1)[-1] for _ in range(3)] == [0, 0, 1]
    assert awaited() == ["a-1", "a-2", "a-3", "b-1"]
    assert book.check_in("a-1") == 1


def test_as_many_workers_are_awaited_as_may_be_and_as_each_has_cores(book: Book) -> None:
    assert book.submit("first", 2, "a", 3, 1)[-1] == 2
    assert book.submit("second", 2, "b", 3, 1)[-1] == 0


def test_workers_of_two_cores_are_half_as_many(book: Book) -> None:
    assert book.submit("first", 0, "a", 5, 2)[-1] == 3


def test_a_busy_worker_gets_none_that_another_comes_for(book: Book) -> None:
    book.submit("first", 3, "a", 3, 1)
    book.check_in_again("a-1")
    # Two more come, and no further one may.
    assert [book.submit(name, 3)[1] for name in "qrs"] == [0, 0, 1]


def test_of_workers_with_a_free_core_the_fullest_gets_it(book: Book) -> None:
    for worker in "vwx":
        book.check_in(worker, cores=2)
    for name in "abcdef":
        assert book.submit(name)[1] == 1
    held = [[frame["name"] for frame in book.frames("control", worker)] for worker in "vwx"]
    assert sorted(held) == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert book.submit("g")[1] == 0


def test_an_idle_worker_gets_it_at_once(book: Book) -> None:
    book.check_in("w")
    assert book.submit() == [FIRST_PID, 1, 1, 0, 0]


def test_a_worker_checks_in_once_and_not_for_a_session_that_is_over(
    book: Book, session: OwnedSession
) -> None:
    book.check_in("w")
    assert book.check_in_again("w") == -2
    book.ask("DEL", session.keys("alive"))
    assert book.check_in("v") == -1


def test_an_exit_is_told_once_and_the_worker_takes_what_waits(book: Book) -> None:
    book.check_in("w")
    book.submit("first")
    book.submit("second")
    assert book.exited(FIRST_PID, 3, "w") == 1
    assert book.exited(FIRST_PID, 3, "w") == 0
    assert book.frames("inbox", "parent") == [{"kind": "exit", "pid": FIRST_PID, "code": 3, "worker": "w"}]
    assert [frame["name"] for frame in book.frames("control", "w")] == ["first", "second"]


def test_a_large_body_goes_with_a_process_that_never_began(book: Book, session: OwnedSession) -> None:
    book.check_in("w")
    first, _body = pack(session, "process:uid-p", bytes(BLOB), name="uid-p")
    session.store.cast(*first)
    book.submit()
    key = session.keys("blob", "uid-p")
    assert session.store.ask("EXISTS", key) == 1
    assert book.exited(FIRST_PID, -9, "w") == 1
    assert session.store.ask("EXISTS", key) == 0
    assert session.store.ask("SISMEMBER", session.keys("keys"), key) == 0


def test_only_the_worker_that_holds_a_process_may_tell_its_end(book: Book) -> None:
    book.check_in("w")
    book.submit()
    assert book.exited(FIRST_PID, 0, "another") == 0
    assert book.frames("inbox", "parent") == []


def test_a_worker_that_was_given_up_never_comes_back(book: Book, session: OwnedSession) -> None:
    book.check_in("w")
    book.submit()
    assert book.take("w")
    assert book.renew("w") == 1
    assert book.give_up("w", "lease") is None
    assert book.give_up("w") == [[str(FIRST_PID).encode()], []]
    assert (book.renew("w"), book.check_in_again("w"), book.give_up("w")) == (-1, -2, None)
    assert book.ask("EXISTS", session.keys("lease", "w")) == 0


def test_what_a_worker_that_is_given_up_had_not_taken_goes_to_another(
    book: Book, session: OwnedSession
) -> None:
    book.check_in("w", cores=4)
    for name in ("taken", "second", "third"):
        book.submit(name)
    book.take("w")
    session.store.call(("RPUSH", session.keys("ready"), b'{"kind": "run", "pid": 1}\nbody'))
    assert book.give_up("w") == [[str(FIRST_PID).encode()], []]
    # In their order, before what came later.
    waiting = [frame["pid"] for frame in book.frames("ready", "")]
    assert waiting == [FIRST_PID + 1, FIRST_PID + 2, 1]
    assert book.ask("PTTL", session.keys("ready")) > 0
    assert book.check_in("v", slots=2) == 2
    assert [frame["name"] for frame in book.frames("control", "v")] == ["second", "third"]
    assert book.exited(FIRST_PID + 1, 0, "w") == 0
    assert book.exited(FIRST_PID + 1, 0, "v") == 1


@pytest.mark.parametrize("word", ["signal", "orphan", "interrupt", "end"])
def test_who_was_to_be_told_something_is_not_begun_elsewhere_without_it(
    book: Book, session: OwnedSession, word: str
) -> None:
    book.check_in("w", cores=4)
    for name in "pqr":
        book.submit(name)
    told = {"kind": word} if word in ("interrupt", "end") else {"kind": word, "pid": FIRST_PID + 1}
    control = session.keys("control", "w")
    session.store.call(("RPUSH", control, json.dumps(told) + "\n"))
    book.submit("late")
    # What is no frame, or of a process that is not there, says nothing.
    for nonsense in (b"", b"[]\n", b"7\n", b"{", b'{"kind": "run", "pid": 7}\nbody'):
        session.store.call(("RPUSH", control, nonsense))
    pids, _ = book.give_up("w")
    waiting = [frame["name"] for frame in book.frames("ready", "")]
    assert waiting == (["late"] if word in ("interrupt", "end") else ["p", "r", "late"])
    assert len(pids) == 4 - len(waiting)


def test_that_it_was_not_needed_is_nothing_to_be_told(book: Book, session: OwnedSession) -> None:
    book.check_in("w", cores=4)
    book.submit("p")
    session.store.call(("RPUSH", session.keys("control", "w"), b'{"kind": "leave"}\n'))
    assert book.give_up("w") == [[], []]
    assert [frame["name"] for frame in book.frames("ready", "")] == ["p"]


def test_who_was_given_up_is_fenced_off(book: Book, session: OwnedSession) -> None:
    assert book.admit("worker", "w", "w") == -1
    book.ask("SADD", session.keys("starting"), "w")
    assert book.admit("worker", "w", "w", "1 a:1") == 1
    assert book.check_in_again("w") == 0
    assert book.admit("worker", "w", "w", "2 a:2") == 1
    book.submit()
    assert book.take("w")
    assert book.admit("process", str(FIRST_PID), "uid-p", "3 a:3") == 1
    assert book.admit("process", str(FIRST_PID), "another", "4 a:4") == -1
    pids, links = book.give_up("w")
    assert (pids, sorted(links)) == ([str(FIRST_PID).encode()], [b"1 a:1", b"2 a:2", b"3 a:3"])
    # Although its end is not told yet.
    assert book.admit("process", str(FIRST_PID), "uid-p") == -1
    assert book.admit("worker", "w", "w") == -1
    assert book.exited(FIRST_PID, -9, "w") == 1
    assert book.ask("EXISTS", session.keys("links", "w"), session.keys("links", "uid-p")) == 0


def test_a_process_that_has_ended_is_fenced_off_by_its_worker(book: Book) -> None:
    book.check_in("w")
    book.submit()
    book.admit("process", str(FIRST_PID), "uid-p", "3 a:3")
    assert book.fence(FIRST_PID, "another") == []
    assert book.admit("process", str(FIRST_PID), "uid-p", "3 a:3") == 1
    assert book.fence(FIRST_PID, "w") == [b"3 a:3"]
    assert book.admit("process", str(FIRST_PID), "uid-p") == -1


def test_nobody_is_admitted_to_a_session_that_is_over(book: Book, session: OwnedSession) -> None:
    assert book.admit("", "", "client") == 1
    book.ask("DEL", session.keys("alive"))
    assert book.admit("", "", "client") == 0


def test_a_waiting_process_is_withdrawn_only_by_what_would_end_it(book: Book) -> None:
    book.submit()
    assert book.signal(FIRST_PID, 10) == 3
    assert book.signal(FIRST_PID, 15) == 2
    assert book.check_in("w") == 0
    assert book.signal(FIRST_PID + 1, 15) == 0


def test_the_cores_of_a_worker_are_used_before_another_is_launched(book: Book) -> None:
    for name in ("a", "b", "c"):
        book.submit(name)
    assert book.check_in("w", 10, cores=2) == 3
    book.check_in("v", 10, cores=2)
    assert [book.submit()[1] for _ in range(3)] == [1, 1, 0]


def test_a_retired_worker_is_given_nothing_and_keeps_what_it_has(book: Book) -> None:
    book.check_in("w")
    book.submit()
    assert book.retire("w") == [0, 0, 0]
    # Not even where no further worker may come, for one may come in its place.
    assert book.submit(limit=1)[1:] == [0, 0, 0, 1]
    assert book.exited(FIRST_PID, 0, "w") == 1
    assert [frame["pid"] for frame in book.frames("control", "w")] == [FIRST_PID]
    assert book.renew("w") == 1


def test_a_process_passes_on_under_its_id_and_its_end_there_means_nothing(
    book: Book, session: OwnedSession
) -> None:
    book.check_in("w")
    book.submit("p")
    book.check_in("v")
    assert book.pass_on(FIRST_PID, "new", "w") == [1, 1, 0, 0]
    (frame,) = book.frames("control", "v")
    assert (frame["pid"], frame["uid"], frame["name"], frame["parent"]) == (FIRST_PID, "new", "p", "parent")
    assert book.exited(FIRST_PID, 0, "w") == 0
    assert book.frames("inbox", "parent") == []
    # A signal finds it, and the worker that it has left may go.
    assert book.signal(FIRST_PID, 15) == 1
    assert [frame["kind"] for frame in book.frames("control", "v")] == ["run", "signal"]
    assert book.ask("EXISTS", session.keys("running", "w")) == 0
    assert book.exited(FIRST_PID, 3, "v") == 1
    assert book.frames("inbox", "parent") == [{"kind": "exit", "pid": FIRST_PID, "code": 3, "worker": "v"}]


def test_a_process_that_passes_on_waits_where_no_other_worker_is(book: Book) -> None:
    book.check_in("w")
    book.submit()
    assert book.pass_on(FIRST_PID, "new", "w") == [0, 0, 0, 1]
    assert book.check_in("v") == 1
    assert [frame["uid"] for frame in book.frames("control", "v")] == ["new"]


def test_only_the_worker_that_holds_a_process_passes_it_on(book: Book) -> None:
    book.check_in("w")
    book.submit()
    book.take("w")
    book.give_up("w")
    assert book.pass_on(FIRST_PID, "new", "w") is None


def test_what_a_successor_needs_is_held_on_and_the_rest_is_let_go(book: Book, session: OwnedSession) -> None:
    book.check_in("w")
    book.submit("p")
    for oid in ("needed", "other"):
        names = (session.keys.object(oid, "h0"), session.keys("holds", "uid-p"))
        names += (session.keys("objects"), session.keys("keys"))
        book.ask(*script("hold", names, ("uid-p", f"{oid} 0", oid, session.ttl, "new", "")))
    book.pass_on(FIRST_PID, "new", "w", "needed 0", "closed 1")
    assert book.ask("SMEMBERS", session.keys.object("needed", "h0")) == [b"new"]
    assert book.ask("SMEMBERS", session.keys("holds", "new")) == [b"needed 0"]
    assert book.ask("EXISTS", session.keys.object("other", "h0"), session.keys("holds", "uid-p")) == 0
    # And goes with it.
    book.check_in("v")
    book.exited(FIRST_PID, 0, "v")
    assert book.ask("EXISTS", session.keys.object("needed", "h0")) == 0


def test_no_key_is_without_a_time_to_live(book: Book, session: OwnedSession) -> None:
    book.submit("waits")
    book.check_in("w")
    book.submit("runs")
    book.admit("process", str(FIRST_PID + 1), "uid-runs")
    book.signal(FIRST_PID, 15)
    book.exited(FIRST_PID, 0, "w")
    book.pass_on(FIRST_PID + 1, "new", "w")
    book.retire("w")
    session.store.call(*session.push_event("someone", b"{}\n"))
    lasting = [key for key in book.ask("KEYS", "*") if book.ask("PTTL", key) < 0]
    assert lasting == []


class Section:
    """A segment that rides on a lock, which is taken."""

    def __init__(self, session: OwnedSession) -> None:
        self._session, keys = session, session.keys
        self.segment = [keys.object("seg", part) for part in ("h0", "d")]
        self.lock = [keys.object("lock", part) for part in ("h0", "q0", "state")]
        self.ask = session.store.ask
        for held in (self.segment, self.lock):
            self.ask("SADD", held[0], "holder")

    def end(self, content: bytes = b"new", *, block: object = 0) -> tuple[Any, list[Any]]:
        """Publish and release; what is answered, and how many commands it took."""
        ttl = self._session.ttl
        publish = script("publish", self.segment, ("me", ttl, "seg", 1, 0, 1, block, 0, content))
        commands = together(publish, script("release", self.lock, (1, ttl)))
        return len(commands), self._session.store.aside(*commands)

    @property
    def found(self) -> tuple[Any, int]:
        """What the segment holds, and how many tokens there are."""
        return self.ask("HGET", self.segment[1], 0), self.ask("LLEN", self.lock[1])


@pytest.fixture
def section(session: OwnedSession) -> Section:
    return Section(session)


def test_what_rides_on_a_lock_is_published_by_the_script_that_releases_it(section: Section) -> None:
    assert section.end() == (1, [1])
    assert section.found == (b"new", 1)


def test_a_lock_that_nobody_holds_any_more_is_told_as_ever(section: Section) -> None:
    section.ask("DEL", section.lock[0])
    assert section.end() == (1, [-1])
    assert section.found == (b"new", 0)


def test_a_token_is_given_back_though_nothing_could_be_published(section: Section) -> None:
    section.ask("SET", section.segment[1], "no segment")
    count, (reply,) = section.end()
    assert count == 1
    assert "WRONGTYPE" in str(reply)
    assert section.ask("LLEN", section.lock[1]) == 1


class Message(Section):
    """A segment, and a message behind what is published of it."""

    def end(self, content: bytes = b"new", *, block: object = 0) -> tuple[Any, list[Any]]:
        ttl, (holders, messages, _) = self._session.ttl, self.lock
        publish = script("publish", self.segment, ("me", ttl, "seg", 1, 0, 1, block, 0, content))
        commands = together(publish, script("push", (holders, messages), (ttl, b"message")))
        return len(commands), self._session.store.aside(*commands)


def test_what_a_message_follows_is_published_by_the_script_that_appends_it(session: OwnedSession) -> None:
    message = Message(session)
    assert message.end() == (1, [1])
    assert message.found == (b"new", 1)
    assert message.ask("LINDEX", message.lock[1], 0) == b"message"
    assert message.ask("PTTL", message.lock[1]) > 0


def test_that_nobody_reads_any_more_is_told_as_ever(session: OwnedSession) -> None:
    message = Message(session)
    message.ask("DEL", message.lock[0])
    assert message.end() == (1, [-1])
    assert message.found == (b"new", 0)


def test_a_message_is_appended_though_nothing_could_be_published(session: OwnedSession) -> None:
    message = Message(session)
    message.ask("SET", message.segment[1], "no segment")
    count, (reply,) = message.end()
    assert count == 1
    assert "WRONGTYPE" in str(reply)
    assert message.ask("LLEN", message.lock[1]) == 1


def test_several_messages_are_appended_by_a_script_of_their_own() -> None:
    publish = script("publish", ("h", "d"), ("me", 1, "seg", 1, 0, 1, 0, 0, b""))
    push = script("push", ("h", "q"), (1, b"one", b"two"))
    assert together(publish, push) == (publish, push)


def test_much_is_published_by_a_script_of_its_own() -> None:
    publish = script("publish", ("h", "d", "g"), tuple(range(FEW)))
    release = script("release", ("h", "t"), (1, 2))
    assert together(publish, release) == (publish, release)
    assert together(release, publish) == (release, publish)
    assert together(("HSET", "key", 1, 2), release) == (("HSET", "key", 1, 2), release)
