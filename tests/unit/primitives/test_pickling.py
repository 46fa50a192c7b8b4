from __future__ import annotations

import copyreg
import pickle
import sys
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from transparent_mp.primitives import pickling
from transparent_mp.primitives.pickling import APART, dumps, loads, plain
from transparent_mp.store.pieces import Entry, Piece, Pieces, filled, laid_out

MANY = APART // 8


def received(content):
    """What arrives of a content: everything in memory of its own."""
    if not isinstance(content, Pieces):
        return bytearray(content)
    stream = Piece(bytearray(b"".join(bytes(one.buffer) for one in content.pieces if not one.apart)))
    return Pieces([stream, *(Piece(bytearray(one), apart=True) for one in content.apart)])


def sent(value):
    return loads(received(dumps(value)))


def alone(monkeypatch, answer):
    monkeypatch.setattr(pickling, "is_alone", lambda: answer)


class Sub(np.ndarray):
    """A program's own kind of array."""


PLAIN = [1, "text", (1, [2], {3: None}), b"x" * 100, ("step", {"a": [0.5, b"x" * 100]}), [], ((), {}, None)]
NESTED = ((((("deep",),),),),)


@pytest.mark.parametrize("value", [*PLAIN, list(range(9)), ["x" * 512], NESTED, (pytest.param,)])
def test_what_is_small_is_the_pickle_that_it_always_was(value):
    assert dumps(value) == ForkingPickler.dumps(value)
    assert loads(dumps(value)) == value


def test_for_what_is_plain_no_table_of_reducers_is_made(monkeypatch):
    monkeypatch.setattr(ForkingPickler, "__init__", None)
    # Nor is one used that is there.
    monkeypatch.setattr(pickling, "_ready", pickling._Ready())
    for value in PLAIN:
        assert loads(dumps(value)) == value
    for value in (pytest.param, (1, pytest.param), {"a": {1}}, ["x" * 512]):
        with pytest.raises(TypeError):
            dumps(value)


@pytest.mark.parametrize("value", [{"frames": [b"x" * APART]}, ("y" * APART, 1)])
def test_what_is_large_within_it_is_a_piece(value):
    assert isinstance(dumps(value), Pieces)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(MANY),
        np.asfortranarray(np.arange(MANY).reshape(8, -1)),
        np.arange(2 * MANY)[::2],
        np.arange(MANY).astype("M8[s]"),
        np.arange(MANY).astype(">i8"),
        np.zeros(APART // 13 + 1, dtype=[("a", "i4"), ("b", "V1"), ("c", "f8")]),
        np.zeros((0, 5)),
        np.array(["x" * 10] * MANY),
        np.array([None, "object"] * MANY),
        np.ma.masked_array(np.arange(MANY), np.arange(MANY) % 2),
        np.arange(MANY).view(Sub),
        np.float64(3),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
@pytest.mark.parametrize("nobody_else", [True, False])
def test_arrays_arrive_as_the_standard_librarys_would(value, nobody_else, monkeypatch):
    alone(monkeypatch, nobody_else)
    found, like = sent(value), ForkingPickler.loads(ForkingPickler.dumps(value))
    assert type(found) is type(like)
    assert found.dtype == like.dtype
    np.testing.assert_array_equal(found, like)
    for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS", "WRITEABLE", "OWNDATA"):
        assert found.flags[flag] == like.flags[flag], flag


def test_a_read_only_array_arrives_writable_as_it_always_did():
    value = np.arange(MANY)
    value.flags.writeable = False
    found = sent(value)
    found[0] = 7
    assert value[0] == 0


def test_what_is_sent_twice_in_a_message_is_one_object():
    value, text = np.arange(MANY), b"x" * APART
    one, two, three, four = sent((value, value, text, text))
    assert one is two
    assert three is four


@pytest.mark.parametrize(("nobody_else", "seen"), [(True, 77), (False, 3)])
def test_an_array_is_copied_where_another_thread_may_write_to_it(monkeypatch, nobody_else, seen):
    alone(monkeypatch, nobody_else)
    value = np.arange(MANY)
    (buffer,) = dumps([value]).apart
    value[3] = 77
    assert np.frombuffer(buffer, value.dtype)[3] == seen


def test_so_is_one_over_memory_that_is_not_its_own(monkeypatch):
    alone(monkeypatch, True)
    memory = bytearray(APART)
    value = np.frombuffer(memory, "u1")
    (buffer,) = dumps([value]).apart
    memory[3] = 77
    assert buffer[3] == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_that_has_arrived_in_memory_of_its_own_is_sent_from_there(monkeypatch, order):
    alone(monkeypatch, True)
    value = np.arange(MANY, dtype="f8").reshape((8, -1), order=order)
    content = dumps(value)
    rooms = list(laid_out([Entry(len(one.buffer), b"", one.apart, False) for one in content.pieces]))
    for (_, room), one in zip(rooms, content.pieces):
        room[:] = one.buffer
    found = loads(filled(rooms))
    np.testing.assert_array_equal(found, value)
    assert found.flags.f_contiguous == value.flags.f_contiguous
    assert found.flags.writeable
    (buffer,) = dumps(found).apart
    assert np.shares_memory(np.asarray(buffer), found)


@pytest.mark.parametrize("large", [b"x" * APART, "y" * APART])
def test_large_bytes_and_text_are_pieces_of_the_pickle(large):
    content = dumps([1, large, 2])
    assert [len(one.buffer) >= APART for one in content.pieces] == [False, True, False]
    assert loads(received(content)) == [1, large, 2]


def test_bytes_are_not_copied():
    large = b"x" * APART
    assert any(one.buffer is large for one in dumps((large, 1)).pieces)


def test_many_small_ones_are_joined():
    content = dumps([bytes([n]) * 70_000 for n in range(40)])
    assert len(content.pieces) < 3
    assert loads(received(content)) == [bytes([n]) * 70_000 for n in range(40)]


def test_who_asks_for_the_bytes_gets_a_pickle_of_them():
    value = {"array": np.arange(MANY), "text": "x" * APART}
    found = pickle.loads(plain(received(dumps(value))))
    assert found["text"] == value["text"]
    np.testing.assert_array_equal(found["array"], value["array"])
    found["array"][0] = 5
    assert plain(b"as it is") == b"as it is"


def _reduced(_array):
    return str, ("reduced",)


def test_what_the_program_has_registered_for_arrays_keeps_its_say(monkeypatch):
    monkeypatch.setitem(copyreg.dispatch_table, np.ndarray, _reduced)
    assert sent(np.arange(MANY)) == "reduced"


def test_a_pickler_of_the_programs_own_is_used(monkeypatch):
    monkeypatch.setattr(ForkingPickler, "dumps", classmethod(lambda _cls, obj: pickle.dumps(("own", obj))))
    assert sent(1) == ("own", 1)


class Opens:
    """Reads another pickle while it is being read."""

    def __init__(self, content):
        self.content = content

    def __reduce__(self):
        return _open, (pickle.dumps(plain(received(self.content))),)


def _open(content):
    return loads(received(dumps(pickle.loads(pickle.loads(content)))))


def test_a_pickle_read_within_another_has_buffers_of_its_own():
    inner, outer = np.arange(MANY), np.arange(MANY) * 2
    first, second, third = sent([outer, Opens(dumps(inner)), outer[::-1].copy()])
    np.testing.assert_array_equal(first, outer)
    np.testing.assert_array_equal(second, inner)
    np.testing.assert_array_equal(third, outer[::-1])


def test_what_cannot_be_pickled_says_so():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        dumps(lambda: 0)


class Registered:
    """A class for which a reducer is registered, now this one and now that."""


@pytest.fixture(params=[copyreg.pickle, ForkingPickler.register])
def register(request):
    yield lambda reducer: request.param(Registered, reducer)
    copyreg.dispatch_table.pop(Registered, None)
    ForkingPickler._extra_reducers.pop(Registered, None)


def test_what_is_registered_between_two_pickles_counts(register):
    assert type(sent([Registered()])[0]) is Registered
    register(lambda _one: (str, ("first",)))
    assert sent([Registered()]) == ["first"]
    register(lambda _one: (str, ("second",)))
    assert sent([Registered()]) == ["second"]


class Nested:
    """Pickles something else while it is pickled."""

    def __init__(self, within):
        self.within = within

    def __reduce__(self):
        return loads, (bytes(dumps(self.within)),)


def test_a_pickle_made_within_another_is_one_by_itself():
    assert sent([1, Nested([2, Nested([3])]), 4]) == [1, [2, [3]], 4]
    assert sent([1]) == [1]


def test_nothing_is_left_of_what_was_pickled():
    kept = Registered()
    before = sys.getrefcount(kept)
    content = dumps([kept])
    assert sys.getrefcount(kept) == before
    # And the next one knows nothing of it.
    assert dumps([kept]) == content


def test_after_one_that_cannot_be_pickled_the_next_is_whole():
    with pytest.raises((AttributeError, pickle.PicklingError)):
        dumps([1, lambda: None])
    assert sent([1, 2]) == [1, 2]


def test_a_pickler_whose_memo_has_grown_is_not_used_again():
    dumps([Registered()])
    assert pickling._ready.pickling is not None
    dumps([Registered() for _ in range(1000)])
    assert pickling._ready.pickling is None
