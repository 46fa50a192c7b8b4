from __future__ import annotations

import pytest

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import expected, tracts
from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.expected import FIXED, MOST, UNDER_WAY, Expected, spec
from transparent_mp.primitives.replica import FETCH_BLOCKS, PUBLISH_BLOCKS

#: Blocks of a segment that is not small, and those that are written in rounds.
SIZE, WRITTEN = 20, 6


@pytest.fixture(autouse=True)
def without_tracts(monkeypatch):
    """Blocks by themselves: what is written together has its own tests."""
    monkeypatch.setattr(tracts, "LEAST", SIZE + 1)


def fill(process, value, first=0, count=WRITTEN):
    process.view[first * BLOCK : (first + count) * BLOCK] = bytes((value,)) * (count * BLOCK)
    process.release()


def commands(process):
    return [command[0] for command in process.engine.fetch()]


def learned(reader, write, rounds=3):
    for turn in range(1, rounds):
        write(turn)
        reader.acquire()
    assert commands(reader) == ["ECHO", "HMGET"]


@pytest.mark.parametrize(
    ("blocks", "text"),
    [([0], "0"), ([3, 1, 2, 2], "1-3"), ([0, 2, 3, 9], "0,2-3,9"), (range(0, 2000, 2), expected.MANY)],
)
def test_the_journal_has_blocks_in_spans(blocks, text):
    assert spec(blocks) == text


def test_what_is_written_in_rounds_comes_by_a_plain_command(processes):
    writer, reader = processes(bytes(SIZE * BLOCK))
    assert commands(reader) == ["EVALSHA"]
    learned(reader, lambda turn: fill(writer, turn))
    for turn in range(3, 9):
        fill(writer, turn)
        waits = reader.session.store.waits
        reader.acquire()
        assert reader.session.store.waits == waits + 1
        assert bytes(reader.view) == bytes(writer.view)
        # Nothing new: nothing comes.
        _number, found = reader.acquire()
        assert not any(found[7 + WRITTEN :])


@pytest.mark.parametrize(
    ("write", "then"),
    [
        (lambda writer: fill(writer, 99, 1, WRITTEN), "EVALSHA"),
        (lambda writer: fill(writer, 99, 15, 2), "EVALSHA"),
        (lambda writer: [fill(writer, value) for value in (98, 99)], "EVALSHA ECHO"),
        (lambda writer: [fill(writer, value) for value in range(90, 100)], "EVALSHA"),
        (lambda writer: [fill(writer, value, value - 90, 1) for value in range(90, 96)], "EVALSHA"),
        # Of those blocks, but put together by the script: it is asked for from now on.
        (lambda writer: (writer.view.__setitem__(5, 99), writer.release()), "ECHO"),
        (lambda writer: [(writer.view.__setitem__(at, 99), writer.release()) for at in range(9)], "ECHO"),
        (lambda writer: (writer.view.__setitem__(19 * BLOCK, 99), writer.release()), "EVALSHA"),
    ],
)
def test_what_was_not_expected_is_seen_all_the_same(processes, write, then):
    writer, reader = processes(bytes(SIZE * BLOCK))
    learned(reader, lambda turn: fill(writer, turn))
    found = []
    for _ in range(2):
        write(writer)
        reader.acquire()
        assert bytes(reader.view) == bytes(writer.view)
        found.append(commands(reader)[0])
    # As many as came at a time are expected to come again, if they are a few.
    first, _, again = then.partition(" ")
    assert found == [first, again or first]


def test_of_two_writers_of_one_block_both_are_seen(processes):
    one, two, reader = processes(bytes(SIZE * BLOCK), 3)

    def write(turn):
        for process, at in ((one, 0), (two, 1)):
            process.view[at : WRITTEN * BLOCK : 2] = bytes((turn + at,)) * (WRITTEN * BLOCK // 2)
        one.release()
        two.release()

    for turn in range(1, 12):
        write(turn)
        reader.acquire()
        assert bytes(reader.view[: WRITTEN * BLOCK]) == bytes((turn, turn + 1)) * (WRITTEN * BLOCK // 2)
    # What the script has put together is asked for, too.
    assert commands(reader) == ["ECHO", "HMGET"]
    one.acquire()
    two.acquire()
    assert bytes(one.view) == bytes(two.view) == bytes(reader.view)


def test_more_than_a_few_such_blocks_are_left_to_the_script(processes):
    count = FIXED + 2
    one, two, reader = processes(bytes(count * BLOCK), 3)
    for turn in range(1, 6):
        for process, at in ((one, 0), (two, 1)):
            process.view[at::2] = bytes((turn,)) * (count * BLOCK // 2)
        one.release()
        two.release()
        reader.acquire()
        assert bytes(reader.view) == bytes((turn,)) * (count * BLOCK)
    assert commands(reader) == ["EVALSHA"]


def test_a_reader_of_its_own_writes_is_given_those_of_others(processes):
    writer, reader = processes(bytes(SIZE * BLOCK))

    def write(turn):
        fill(reader, 100 + turn, WRITTEN, 3)
        fill(writer, turn)

    learned(reader, write)
    for turn in range(3, 7):
        write(turn)
        reader.acquire()
        writer.acquire()
        assert bytes(reader.view) == bytes(writer.view)
        assert (reader.view[0], writer.view[WRITTEN * BLOCK]) == (turn, 100 + turn)


def test_an_answer_to_a_question_that_was_forgotten_is_not_taken(processes):
    writer, reader = processes(bytes(SIZE * BLOCK))
    learned(reader, lambda turn: fill(writer, turn))
    asked = reader.engine.fetch()
    for _ in range(UNDER_WAY):
        reader.engine.fetch()
    fill(writer, 77)
    reader.engine.merge(reader.session.store.call(*asked))
    assert bytes(reader.view) == bytes(writer.view)


def test_a_reader_that_fell_behind_the_journal_is_given_everything(processes):
    writer, reader = processes(bytes(SIZE * BLOCK))
    learned(reader, lambda turn: fill(writer, turn))
    for turn in range(200):
        fill(writer, turn, turn % SIZE, 1)
    reader.acquire()
    assert bytes(reader.view) == bytes(writer.view)


def test_no_more_is_asked_for_than_an_answer_should_bring():
    one = Expected(2 * MOST)
    for version in (1, 2, 3):
        one.learn((b"%d w.1.%d 0-%d;" % (version, version, MOST), b""), version - 1)
    assert not one.trusted
    assert one.question()[1] == []


def test_an_answer_in_pieces_is_learned_from_once(processes):
    size = FETCH_BLOCKS + 500
    writer, reader = processes(bytes(size * BLOCK))
    for turn in range(1, 3):
        fill(writer, turn, 0, PUBLISH_BLOCKS)
        fill(writer, turn, PUBLISH_BLOCKS, size - PUBLISH_BLOCKS)
        reader.acquire()
        assert bytes(reader.view) == bytes(writer.view)
    for turn in range(3, 6):
        fill(writer, turn, 0, 1500)
        reader.acquire()
        assert bytes(reader.view) == bytes(writer.view)
    assert commands(reader) == ["ECHO", "HMGET"]


def test_of_a_piece_that_comes_again_nothing_is_learned():
    one = Expected(2 * MOST)
    for version in (1, 2, 2):
        one.learn((b"%d w.1.%d 0-9;" % (version, version), b""), version - 1)
    assert one.trusted


@pytest.mark.parametrize(
    "journal",
    [
        b"\xff",
        b"x w.1.1 0;",
        b"1 w.1.x 0;",
        b"1 w.1.1 0-9999999;",
        b"1 w.1.1 3-1;",
        b"1 w.1.1 -1;",
        b"1 w.1.1;",
        7,
    ],
)
def test_a_journal_of_something_else_is_refused(journal):
    with pytest.raises(UntrustedPayloadError):
        Expected(10).learn((journal, b""), 0)


@pytest.mark.parametrize("claim", [b"x", b"", b"1 2", b"\xff", 7, b"y x w 1"])
def test_a_claim_of_something_else_is_refused(claim):
    one = Expected(10)
    for version in (1, 2):
        one.learn((b"%d w.1.%d 0;" % (version, version), b""), version - 1)
    number, _fields = one.question()
    with pytest.raises(UntrustedPayloadError):
        one.answer(number, [claim, b"data"], (b"3 w.1.3 0;", b""), 2)
