from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from transparent_mp.primitives import forked


@pytest.fixture(autouse=True)
def steps() -> Iterator[None]:
    """Steps of a test stay its own."""
    before = list(forked._Steps.given)
    yield
    forked._Steps.given[:] = before
    forked.leave_out(False)


def in_a_child(*words: str) -> list[str]:
    """What was written by steps of these words; a word in capitals raises behind it."""
    reader, writer = os.pipe()

    def step(word: str) -> None:
        os.write(writer, f"{word} ".encode())
        if word.isupper():
            raise ValueError(word)

    for word in words:
        forked.in_child(lambda word=word: step(word))  # type: ignore[misc]
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.close(writer)
    with open(reader, encoding="ascii") as file:
        return file.read().split()


def test_steps_are_taken_in_their_order() -> None:
    assert in_a_child("one", "two", "three") == ["one", "two", "three"]


def test_one_that_fails_has_the_others_taken() -> None:
    assert in_a_child("one", "TWO", "three") == ["one", "TWO", "three"]


def test_none_is_taken_where_nothing_is_to_be_seen_to() -> None:
    forked.leave_out(True)
    assert in_a_child("one") == []
    forked.leave_out(False)
    assert in_a_child("two") == ["one", "two"]
