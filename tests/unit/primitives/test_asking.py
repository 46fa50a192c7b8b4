from __future__ import annotations

from plain_memory import Plain

from transparent_mp.primitives.asking import FEW
from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.memory import Engine


def test_more_small_segments_than_a_few_are_asked_for_by_one_command(joined):
    session = joined()
    engine = Engine(session)
    replicas = [engine.share(Plain(1)) for _ in range(FEW)]
    assert len(engine.fetch()) == FEW
    replicas.append(engine.share(Plain(1)))
    assert len(engine.fetch()) == 1
    engine.merge(session.store.call(*engine.fetch()))
    assert not any(replica.known for replica in replicas)


def test_a_large_one_among_them_is_asked_for_with_them(joined):
    session = joined()
    engine = Engine(session)
    replicas = [engine.share(Plain(size)) for size in (1, 9 * BLOCK)]
    ((small, large),) = session.store.call(*engine.fetch())
    assert [small[0], large[0]] == [replica.oid.encode() for replica in replicas]
