"""Random processes against an oracle that keeps whole copies where the engine keeps diffs.

Several engines over one store write, publish, fetch and merge; what was given out is sent late,
and by several threads in any order; answers are merged late and in any order.
"""

from __future__ import annotations

import copy
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from plain_memory import Plain

from transparent_mp.primitives import bulk, diff, merging, parts, replica, tracts, twins
from transparent_mp.primitives.brings import Brings
from transparent_mp.primitives.memory import Engine

#: Small, so that a hundred bytes are several blocks and a few blocks an answer that stops short.
BLOCK, PUBLISH_BLOCKS, FETCH_BLOCKS, RUNS, STRIDE = 16, 2, 2, 1, 32
#: And two or three of them a tract, soon.
MOST, ROUNDS = 4, 1


class OracleStore:
    """The segment as the memory model describes it: a value, and who has published how far."""

    def __init__(self, contents):
        self.data = bytearray(contents)
        self.version = 0
        self.applied = {}

    def apply(self, process, parts, number):
        fresh = [part for part in parts if self.applied.get(process, 0) < part[0] <= number]
        for _number, changes in fresh:
            for at, value in changes.items():
                self.data[at] = value
        if fresh:
            self.version += 1
            self.applied[process] = fresh[-1][0]


class OracleProcess:
    """A process by the same model, byte by byte."""

    def __init__(self, store):
        self.store = store
        self.local = bytearray(store.data)
        self.twin = bytearray(store.data)
        self.known = store.version
        self.parts = []

    def publish(self, unsent):
        changes = {at: value for at, value in enumerate(self.local) if value != self.twin[at]}
        self.twin[:] = self.local
        if not changes:
            # What is not known to be sent goes along.
            return unsent
        self.parts.append((len(self.parts) + 1, changes))
        return len(self.parts)

    def fetch(self):
        return bytes(self.store.data), self.store.version, self.store.applied.get(self, 0)

    def merge(self, answer):
        data, version, applied = answer
        if version <= self.known:
            return
        self.known = version
        away = {at for number, changes in self.parts if number > applied for at in changes}
        for at, value in enumerate(data):
            if at not in away:
                if self.local[at] == self.twin[at]:
                    self.local[at] = value
                self.twin[at] = value


class Processes(RuleBasedStateMachine):
    joined = None
    engines = st.integers(0, 2)
    threads = st.integers(1, 2)

    @initialize(
        contents=st.one_of(st.binary(min_size=1, max_size=BLOCK), st.binary(min_size=60, max_size=100))
    )
    def begin(self, contents):
        self.sessions = [type(self).joined() for _ in range(3)]
        self.real = [Engine(session) for session in self.sessions]
        self.replicas = [self.real[0].share(Plain(contents))]
        self.sessions[0].store.settle()
        for engine in self.real[1:]:
            self.replicas.append(engine.replicate(self.replicas[0].oid, Plain(bytes(len(contents)))))
        self.store = OracleStore(contents)
        # Every block that is not zero, PUBLISH_BLOCKS a command, is a version.
        self.model = [OracleProcess(self.store) for _ in self.real]
        self.outbox = {}
        self.answers = []

    @rule(
        e=engines,
        start=st.integers(0, 99),
        length=st.sampled_from((1, 2, 8, BLOCK + 3)),
        step=st.sampled_from((1, 2, 3)),
        value=st.integers(0, 255),
    )
    def write(self, e, start, length, step, value):
        view = self.replicas[e]._view
        start %= len(view)
        for at in range(start, min(len(view), start + length), step):
            view[at] = self.model[e].local[at] = (value + at) % 256

    @rule(
        e=engines,
        first=st.integers(0, 6),
        count=st.integers(1, 4),
        but=st.integers(0, 7),
        value=st.integers(0, 255),
    )
    def write_whole_blocks(self, e, first, count, but, value):
        """All bytes of them but every tenth, say."""
        view = self.replicas[e]._view
        for at in range(first * BLOCK, min(len(view), (first + count) * BLOCK)):
            if at % 8 != but:
                view[at] = self.model[e].local[at] = (value + at) % 256

    @rule(e=engines, first=st.sampled_from((0, 1, 4)), value=st.integers(0, 255), times=st.integers(1, 4))
    def write_the_same_blocks_and_release(self, e, first, value, times):
        self.acquire(e)
        for turn in range(times):
            self.write_whole_blocks(e, first, 3, 0, value + turn)
            self.release(e, 1)

    @rule(e=engines, thread=threads)
    def publish(self, e, thread):
        if (e, thread) not in self.outbox:
            with mock.patch("transparent_mp.primitives.memory.threading.get_ident", return_value=thread):
                commands = self.real[e].publish()
            unsent = max((n for (who, _), (_, n) in self.outbox.items() if who == e), default=None)
            number = self.model[e].publish(unsent)
            if number is None:
                assert not commands
            if commands:
                self.outbox[e, thread] = (commands, number)

    @precondition(lambda self: self.outbox)
    @rule(data=st.data())
    def send(self, data):
        self.send_one(*data.draw(st.sampled_from(sorted(self.outbox))))

    def send_one(self, e, thread):
        commands, number = self.outbox.pop((e, thread))
        self.sessions[e].store.call(*commands)
        ident = "transparent_mp.primitives.memory.threading.get_ident"
        with mock.patch(ident, return_value=thread), self.real[e].sending():
            pass
        self.store.apply(self.model[e], self.model[e].parts, number)

    @rule(e=engines, thread=threads)
    def release(self, e, thread):
        self.publish(e, thread)
        if (e, thread) in self.outbox:
            self.send_one(e, thread)

    @rule(e=engines)
    def acquire(self, e):
        self.fetch(e)
        self.merge_one(len(self.answers) - 1)

    @rule(e=engines)
    def fetch(self, e, under_way=False):
        commands = self.real[e].fetch(brings=Brings() if under_way else None)
        self.answers.append((e, self.sessions[e].store.call(*commands), self.model[e].fetch()))

    @rule(e=engines)
    def fetch_while_others_are_under_way(self, e):
        self.fetch(e, under_way=True)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def merge(self, data):
        self.merge_one(data.draw(st.integers(0, len(self.answers) - 1)))

    def merge_one(self, which):
        e, replies, answer = self.answers.pop(which)
        if self.is_whole(e, replies):
            self.real[e].merge(replies)
            self.model[e].merge(answer)
        else:
            self.merge_in_pieces(e, replies)

    def is_whole(self, e, replies):
        """Whether it is merged without asking for more."""
        replica_, reply = self.replicas[e], replies[0]
        if isinstance(reply, bytes):
            # What is expected next is not to be another for this look.
            kept = copy.deepcopy(replica_.expected)
            answer = replica_.seen(self.sessions[e], replies[1], int(reply))
            replica_.expected = kept
            return not replica_.lacks(answer)
        if isinstance(reply[0], list):
            (answer,) = reply
            complete = answer[1] == answer[2] and not replica_.lacks(answer)
            return complete or answer[2] <= replica_.known
        if reply[0] is None or len(reply) > 5:
            return True
        others = reply[3] if reply[2] == self.sessions[e].uid.encode() else reply[1]
        return int(others or 0) <= replica_.known

    def merge_in_pieces(self, e, replies):
        # What an answer lacks, at its end or before its beginning, is fetched now: it may be newer.
        model = self.model[e]
        self.real[e].merge(replies)
        self.real[e].merge(self.sessions[e].store.call(*self.real[e].fetch()))
        data, version, applied = model.fetch()
        away = {at for number, changes in model.parts if number > applied for at in changes}
        for at, value in enumerate(self.replicas[e]._view):
            own = at in away or model.local[at] != model.twin[at]
            assert value == (model.local[at] if own and value != data[at] else data[at])
        model.local[:] = self.replicas[e]._view
        model.twin[:] = b"".join(
            bytes(self.replicas[e]._twin.get(block, block + 1)) for block in range(-(-len(data) // BLOCK))
        )
        model.known = version

    @invariant()
    def as_the_model_says(self):
        for replica_, model in zip(getattr(self, "replicas", ()), getattr(self, "model", ())):
            assert bytes(replica_._view) == bytes(model.local)

    def teardown(self):
        if not hasattr(self, "replicas"):
            return
        while self.outbox:
            (e, _thread), (commands, _number) = self.outbox.popitem()
            self.sessions[e].store.call(*commands)
        for engine in (*self.real, *self.real):
            engine.synchronise()
        assert len({bytes(replica_._view) for replica_ in self.replicas}) == 1
        for session in self.sessions:
            session.store.close()


@pytest.fixture
def small(monkeypatch):
    for module in (diff, merging, parts, replica, tracts, twins):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    for module in (bulk, tracts):
        monkeypatch.setattr(module, "MOST", MOST)
    monkeypatch.setattr(tracts, "ROUNDS", ROUNDS)
    monkeypatch.setattr(tracts, "PATIENCE", ROUNDS)
    monkeypatch.setattr(tracts, "STEP", 3)
    monkeypatch.setattr(tracts, "OFTEN", 1)
    monkeypatch.setattr(tracts, "LEAST", 2)
    monkeypatch.setattr(diff, "RUNS", RUNS)
    monkeypatch.setattr(diff, "STRIDE", STRIDE)
    monkeypatch.setattr(replica, "PUBLISH_BLOCKS", PUBLISH_BLOCKS)
    monkeypatch.setattr(replica, "FETCH_BLOCKS", FETCH_BLOCKS)


@pytest.mark.parametrize("numpy", [False, True])
@pytest.mark.parametrize("plainly", [False, True], ids=["large", "small"])
def test_random_processes_agree_with_the_model(small, joined, monkeypatch, numpy, plainly):
    monkeypatch.setattr(replica, "SMALL", 100 if plainly else 1)
    monkeypatch.setattr(replica, "QUIET", 1)
    # With it, two neighbouring blocks are many.
    found = pytest.importorskip("numpy") if numpy else None
    monkeypatch.setattr(diff, "loaded_numpy", lambda: found)
    monkeypatch.setattr(bulk, "WORTH", 2)
    machine = type("Machine", (Processes,), {"joined": staticmethod(joined)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
