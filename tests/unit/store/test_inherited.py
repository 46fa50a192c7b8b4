from __future__ import annotations

import os

from transparent_mp.store.admission import Admission
from transparent_mp.store.connect import connect
from transparent_mp.store.inherited import Inherited
from transparent_mp.store.keys import new_id
from transparent_mp.store.session import OwnedSession


def test_a_child_goes_on_with_what_its_parent_has_made_and_not_used(session: OwnedSession) -> None:
    made = Inherited(lambda: connect(session.worker_url))
    key = session.keys("told")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            made.begin(Admission(session.keys, session.ttl, new_id()))
            # As a finaliser does, which nobody has told that there was a fork.
            made.soon(("SET", key, 1))
            made.settle()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert session.store.call(("GET", key), ("DEL", key))[0] == b"1"
