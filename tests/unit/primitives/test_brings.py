from __future__ import annotations

import pytest
from plain_memory import Plain

from transparent_mp.primitives.brings import Brings
from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.memory import Engine
from transparent_mp.primitives.replica import QUIET


class TestBrings:
    """Of two ends whose answers are under way, each brings the small segment that its other side writes."""

    @pytest.fixture
    def ends(self, joined):
        """A process with two segments, and one process that writes each."""
        readers = joined()
        reader = Engine(readers)
        replicas = [reader.share(Plain(3 * BLOCK)) for _ in range(2)]
        readers.store.settle()
        writers = []
        for replica in replicas:
            engine, plain = Engine(joined()), Plain(3 * BLOCK)
            writers.append((engine, plain.view, engine.replicate(replica.oid, plain)))
        return reader, replicas, writers, [Brings(), Brings()]

    def step(self, ends, order=(0, 1)):
        """Both are asked, answer in that order, and are heard in turn; returns the bytes in each."""
        reader, replicas, writers, brings = ends
        store = reader._session.store
        commands = [reader.fetch(brings=one) for one in brings]
        came = {}
        for which in order:
            engine, view, _replica = writers[which]
            view[2 * BLOCK] += 1
            engine.synchronise()
            came[which] = store.call(*commands[which])
        reader.looks[:] = [lambda: came.pop(1, ())]
        sizes = []
        for which in (0, 1):
            replies = came.pop(which, None)
            if replies is None:
                # Looked for already.
                continue
            sizes.append(sum(len(data or b"") for reply in replies for data in reply[5:]))
            reader.merge(replies, brings[which])
            assert replicas[which]._view == writers[which][1]
        return sizes

    def test_after_a_while_each_segment_comes_once(self, ends):
        store = ends[0]._session.store
        for _ in range(8):
            self.step(ends)
        waits = store.waits
        assert self.step(ends) == [1, 1]
        # Two questions; nothing had to be fetched besides.
        assert store.waits == waits + 2

    def test_who_answers_first_makes_no_round_trip_of_it(self, ends):
        for _ in range(8):
            self.step(ends)
        store = ends[0]._session.store
        waits = store.waits
        self.step(ends, order=(1, 0))
        assert store.waits == waits + 2

    def test_what_nobody_changes_any_more_is_not_asked_for(self, ends):
        reader, _replicas, _writers, (one, two) = ends
        for _ in range(4):
            self.step(ends)
        for _ in range(2 * QUIET):
            for brings in (one, two):
                reader.merge(reader._session.store.call(*reader.fetch(brings=brings)), brings)
        replies = reader._session.store.call(*reader.fetch(brings=one))
        assert [len(reply) for reply in replies] == [5, 5]
