from __future__ import annotations

from typing import Any, Callable

from transparent_mp.store.admission import Admission
from transparent_mp.store.connect import connect
from transparent_mp.store.dialling import Dialler
from transparent_mp.store.keys import ID, new_id
from transparent_mp.store.line import Line
from transparent_mp.store.scripts import loading
from transparent_mp.store.session import OwnedSession


def test_names_are_of_one_length_and_differ() -> None:
    names = {new_id() for _ in range(100)}
    assert len(names) == 100
    assert {len(name) for name in names} == {ID}


def test_a_line_has_one_name_whatever_becomes_of_its_links(
    session: OwnedSession, line: Callable[..., Any], dialler: Dialler
) -> None:
    one = line()
    name, key = one.name, one.key
    assert key == session.keys("line", name)
    assert one.taken == session.keys("taken", name)
    dialler.dial(one)
    assert (one.name, one.key) == (name, key)
    members = session.store.ask("SMEMBERS", session.keys("keys"))
    assert {one.key.encode(), one.taken.encode()} <= set(members)
    assert session.store.ask("PTTL", one.taken) > 0


def test_links_are_noted_under_who_is_answerable_for_them(session: OwnedSession) -> None:
    session.store.call(("SADD", session.keys("starting"), "w"))
    for member, owner in ((("worker", "w"), "w"), (("", ""), "uid")):
        dialler = Dialler(lambda: connect(session.worker_url), loading(), 1.0, False)
        dialler.admission = Admission(session.keys, session.ttl, "uid", member)
        one = Line(dialler.dial)
        dialler.dial(one)
        assert one.link is not None
        place = session.store.ask("HGET", session.keys("links", owner), one.name)
        assert place == f"{one.link.number} {one.link.name}".encode()
        session.store.call(*dialler.admission.retirement(one))
        assert session.store.ask("EXISTS", session.keys("links", owner), one.key, one.taken) == 0
        assert one.key.encode() not in session.store.ask("SMEMBERS", session.keys("keys"))
        one.close()
