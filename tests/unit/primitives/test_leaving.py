from __future__ import annotations

import io
import pickle
import socket
import threading

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.primitives import leaving
from transparent_mp.primitives.main_globals import LostGlobalError


class Thing:
    """Has whatever attributes it is given."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Raises:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


def there(obj):
    file = io.BytesIO(b"head")
    file.seek(4)
    leaving.dump(obj, file)
    return pickle.loads(file.getvalue()[4:])


def test_what_cannot_travel_stays_behind_and_all_else_is_whole():
    shared = [1, 2]
    feed = (n for n in ())
    with socket.socket() as listening:
        job = there(Thing(feed=feed, deep={"a": [listening, shared]}, shared=shared, call=lambda x: x + 1))
    assert job.call(1) == 2
    assert job.deep["a"][1] is job.shared == [1, 2]
    with pytest.raises(LostGlobalError, match=r"type 'generator' .*its frame is running"):
        next(job.feed)
    with pytest.raises(LostGlobalError, match=r"type 'socket' .*belongs to the machine"):
        job.deep["a"][0].accept()


def test_it_is_one_stand_in_wherever_the_object_hangs():
    feed = (n for n in ())
    job = there(Thing(one=feed, two=[feed]))
    assert job.one is job.two[0]


@pytest.mark.parametrize("error", [NotImplementedError("pool objects"), RuntimeError(), KeyError("x")])
def test_whatever_a_reducer_raises_means_its_object_only(error):
    job = there(Thing(bad=Raises(error), good=threading.Lock()))
    assert job.good.acquire(False)
    with pytest.raises(LostGlobalError, match=type(error).__name__):
        len(job.bad)


@pytest.mark.parametrize("error", [StoreError("gone"), MemoryError()])
def test_an_error_that_means_more_than_an_object_is_raised(error):
    with pytest.raises(type(error)):
        there(Thing(bad=Raises(error)))


def test_what_is_too_deep_is_an_error_at_the_start():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(pickle.PicklingError, match="recursion"):
        there(Thing(deep=deep, feed=(n for n in ())))


def test_a_process_that_cannot_be_pickled_itself_is_an_error_at_its_start():
    with pytest.raises(TypeError, match=r"mine.*it has to be sent to another machine"):
        there(Raises(TypeError("mine")))


def test_what_travels_is_pickled_once():
    asked = []

    class Counts:
        def __reduce__(self):
            asked.append(1)
            return int, ()

    assert there([Counts()]) == [0]
    assert asked == [1]
