from __future__ import annotations

import io
import pickle
import sys
from collections import namedtuple

import pytest

from transparent_mp.primitives.main_globals import LostGlobal, LostGlobalError
from transparent_mp.primitives.tolerant import TolerantUnpickler

Pair = namedtuple("Pair", "a b")


class Fails:
    def __reduce__(self):
        return int, ("x",)


class FailsState:
    def __getstate__(self):
        return {"a": 1}

    def __setstate__(self, state):
        raise ValueError("state")


class FailsNew:
    def __new__(cls, *args):
        if not args:
            raise ValueError("new")
        return super().__new__(cls)

    def __reduce__(self):
        import copyreg

        return copyreg.__newobj__, (FailsNew,)


def load(value):
    return TolerantUnpickler(io.BytesIO(pickle.dumps(value))).load_global("g", "kind")


@pytest.mark.parametrize("bad", [Fails(), FailsState(), FailsNew(1)], ids=lambda bad: type(bad).__name__)
def test_what_fails_is_lost_and_the_rest_is_whole(bad):
    shared = [1]
    value = load({"bad": bad, "again": bad, "shared": shared, "pair": Pair(shared, 2), "set": {3}})
    assert type(value["bad"]) is LostGlobal
    assert value["again"] is value["bad"]
    assert value["pair"] == Pair([1], 2)
    assert value["pair"].a is value["shared"]
    assert value["set"] == {3}
    with pytest.raises(LostGlobalError, match="global 'g'"):
        value["bad"].x  # noqa: B018


def test_a_class_that_is_not_there_loses_its_objects(monkeypatch):
    data = pickle.dumps([Pair(1, 2), "kept", {"k": Pair}])
    monkeypatch.delattr(sys.modules[Pair.__module__], "Pair")
    value = TolerantUnpickler(io.BytesIO(data)).load_global("g", "kind")
    assert type(value[0]) is LostGlobal
    assert value[1] == "kept"


def test_a_stream_cut_short_is_a_lost_global():
    data = pickle.dumps([1, 2])[:-3]
    assert type(TolerantUnpickler(io.BytesIO(data)).load_global("g", "list")) is LostGlobal
