from __future__ import annotations

import gc
import os
import threading
import time

import pytest
from plain_memory import Plain

from transparent_mp import background
from transparent_mp.errors import StoreError
from transparent_mp.primitives import exchange, memory, replica
from transparent_mp.primitives.brings import Brings
from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.memory import Engine
from transparent_mp.primitives.replica import QUIET
from transparent_mp.store.scripts import script

# Programs fork as they like; the exchange's thread does not run in the child.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

SIZES = [1, 40, BLOCK, 3 * BLOCK + 7, 9 * BLOCK + 7]


@pytest.mark.parametrize("size", SIZES)
def test_a_replica_begins_with_the_contents_of_the_segment(processes, size):
    contents = bytes(at % 251 for at in range(size))
    _one, other = processes(contents)
    assert bytes(other.view) == contents


@pytest.mark.parametrize("size", SIZES)
def test_what_was_released_is_seen_after_acquire(processes, size):
    one, other = processes(bytes(size))
    one.view[size - 1] = 7
    one.release()
    assert other.view[size - 1] == 0
    other.acquire()
    assert other.view[size - 1] == 7


def test_writers_of_different_bytes_of_one_block_both_stay(processes):
    one, other = processes(bytes(2 * BLOCK))
    one.view[0:BLOCK:2] = b"a" * (BLOCK // 2)
    other.view[1:BLOCK:2] = b"b" * (BLOCK // 2)
    one.release()
    other.release()
    one.acquire()
    other.acquire()
    assert bytes(one.view[:BLOCK]) == bytes(other.view[:BLOCK]) == b"ab" * (BLOCK // 2)


def test_an_acquire_does_not_undo_what_was_not_released_yet(processes):
    one, other = processes(b"....")
    one.view[0:2] = b"11"
    other.view[1:3] = b"22"
    one.release()
    other.acquire()
    assert bytes(other.view) == b"122."
    other.release()
    one.acquire()
    assert bytes(one.view) == b"122."


def test_an_answer_from_before_a_publication_does_not_undo_it(processes):
    one, other = processes(b"..")
    other.view[1] = ord("o")
    other.release()
    answer = one.session.store.call(*one.engine.fetch())
    one.view[0] = ord("x")
    commands = one.engine.publish()
    one.engine.merge(answer)
    assert bytes(one.view) == b"xo"
    one.session.store.call(*commands)
    one.acquire()
    assert bytes(one.view) == b"xo"


def test_an_older_answer_that_comes_late_is_ignored(processes):
    one, other = processes(b".")
    one.view[0] = 1
    one.release()
    late = other.session.store.call(*other.engine.fetch())
    one.view[0] = 2
    one.release()
    other.acquire()
    other.engine.merge(late)
    assert other.view[0] == 2


def test_publications_of_two_threads_are_applied_in_order_however_they_arrive(processes):
    one, other = processes(b".")
    one.view[0] = 1
    earlier = []
    thread = threading.Thread(target=lambda: earlier.extend(one.engine.publish()))
    thread.start()
    thread.join()
    one.view[0] = 2
    one.release()
    one.session.store.call(*earlier)
    other.acquire()
    assert other.view[0] == 2


def test_what_another_thread_has_not_sent_yet_is_not_lost_nor_doubled(processes):
    one, other = processes(b"..")
    one.view[0] = ord("a")
    earlier = []
    thread = threading.Thread(target=lambda: earlier.extend(one.engine.publish()))
    thread.start()
    thread.join()
    one.view[1] = ord("b")
    one.release()
    other.acquire()
    assert bytes(other.view) == b"ab"
    other.view[0] = ord("c")
    other.release()
    one.session.store.call(*earlier)
    one.acquire()
    assert bytes(one.view) == b"cb"


def test_what_another_thread_has_not_sent_yet_goes_with_a_release_that_has_nothing_itself(processes):
    one, other = processes(b"..")
    one.view[0] = ord("a")
    thread = threading.Thread(target=one.engine.publish)
    thread.start()
    thread.join()
    one.release()
    other.acquire()
    assert bytes(other.view) == b"a."
    # Until an answer says that it has arrived.
    assert one.engine.publish()
    one.acquire()
    assert not one.engine.publish()


def test_what_is_known_to_be_sent_is_not_sent_again(processes):
    one, other = processes(b"..")
    one.view[0] = ord("a")
    thread = threading.Thread(target=one.release)
    thread.start()
    thread.join()
    assert not one.engine.publish()
    one.view[1] = ord("b")
    (command,) = one.engine.publish()
    assert command[8:-2] == ("3", "0", "1", "0", "1", b"b")
    other.acquire()
    assert bytes(other.view) == b"a."


def test_a_handler_in_the_middle_of_a_release_overtakes_nothing(processes):
    one, other = processes(b"..")
    one.view[0] = ord("a")
    earlier = one.engine.publish()
    # The same thread, in a signal's handler, before that is sent.
    one.view[1] = ord("b")
    one.release()
    one.session.store.call(*earlier)
    other.acquire()
    assert bytes(other.view) == b"ab"


def test_a_message_goes_with_what_was_changed_before_it(processes, monkeypatch):
    one, other = processes(b"....")
    sent = []
    cast = one.session.store.cast
    monkeypatch.setattr(
        one.session.store, "cast", lambda *commands, **on: (sent.append(len(commands)), cast(*commands, **on))
    )
    keys = one.session.keys
    one.session.store.call(("SADD", keys("readers"), "somebody"))
    for number in range(3):
        one.view[0] = number
        push = script("push", (keys("readers"), keys("messages")), (one.session.ttl, b"message"))
        one.engine.cast(push)
        (_message, *replies) = other.session.store.pop(keys("messages"), 20, other.engine.fetch())
        other.engine.merge(replies)
        assert other.view[0] == number
    assert sent == [1, 1, 1]
    assert not one.engine.publish()


def test_lost_publications_go_with_the_next(processes):
    one, other = processes(b"..")
    one.view[0] = 1
    assert one.engine.publish()
    one.engine.lost()
    one.release()
    other.acquire()
    assert other.view[0] == 1
    assert not one.engine.publish()


def test_synchronise_that_fails_loses_nothing(processes, monkeypatch):
    one, other = processes(b"..")
    one.view[0] = 1

    def fail(*commands):
        raise StoreError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(one.session.store, "call", fail)
        with pytest.raises(StoreError):
            one.engine.synchronise()
    one.engine.synchronise()
    other.engine.synchronise()
    assert other.view[0] == 1


def test_an_unchanged_segment_costs_few_bytes(processes):
    one, other = processes(bytes(range(1, 251)) * (9 * BLOCK // 250 + 1))
    for process in (one, other):
        assert process.engine.publish() == []
        ((reply,),) = process.acquire()
        assert len(reply) == 5
    one.view[0] += 1
    one.release()
    # Its own change is not sent back to the writer.
    ((reply,),) = one.acquire()
    assert len(reply) == 5
    ((reply,),) = other.acquire()
    assert reply[5] == 0
    assert len(reply[6]) <= BLOCK


def test_a_small_segment_that_nobody_changes_costs_few_bytes_after_a_while(processes):
    one, other = processes(bytes(range(1, 251)) * (3 * BLOCK // 250 + 1))
    for _ in range(QUIET):
        (reply,) = other.acquire()
        assert len(reply) == 5 + 4
    (reply,) = other.acquire()
    assert len(reply) == 5
    # A change is missed by nobody, and from then on asked for at once.
    one.view[2 * BLOCK] ^= 255
    one.release()
    (reply,) = other.acquire()
    assert len(reply) == 5
    assert bytes(other.view) == bytes(one.view)
    one.view[BLOCK] ^= 255
    one.release()
    (reply,) = other.acquire()
    assert len(reply) == 5 + 4
    assert bytes(other.view) == bytes(one.view)


@pytest.mark.parametrize("size", [BLOCK * 9])
@pytest.mark.parametrize("looked_for", [False, True])
def test_of_several_answers_under_way_each_begins_where_another_ended(processes, size, looked_for):
    one, other = processes(bytes(size))
    answers = []
    commands = [other.engine.fetch(brings=Brings()) for _ in range(2)]
    for place, command in zip((0, size - 1), commands):
        one.view[place] += 1
        one.release()
        answers.append(other.session.store.call(*command))
    first, second = (answer for ((answer,),) in answers)
    assert (len(first), len(second)) == (7, 7)
    assert second[4] == first[1]
    if looked_for:
        other.engine.looks.append(lambda: answers[0])
    waits = other.session.store.waits
    # The second first: what it leaves out is looked for, or else fetched.
    other.engine.merge(answers[1])
    assert bytes(other.view) == bytes(one.view)
    assert other.session.store.waits - waits == (0 if looked_for else 1)
    other.engine.merge(answers[0])
    assert bytes(other.view) == bytes(one.view)
    assert other.replica.known == one.replica.known + 2


def test_only_what_changed_travels(processes):
    one, _other = processes(bytes(BLOCK * 8))
    one.view[5 * BLOCK + 3] = 1
    (command,) = one.engine.publish()
    assert command[-5:-2] == ("5", "3", b"\1")


def test_a_change_of_many_blocks_moves_no_list_of_all_others(processes):
    one, other = processes(bytes(20 * BLOCK))
    one.view[::BLOCK] = b"x" * 20
    one.release()
    other.acquire()
    assert other.view == one.view
    key = one.session.keys.object(one.replica.oid, "g")
    assert one.session.store.ask("OBJECT", "ENCODING", key) == b"skiplist"


def test_a_change_larger_than_an_answer_comes_whole(processes, monkeypatch):
    monkeypatch.setattr(replica, "FETCH_BLOCKS", 2)
    monkeypatch.setattr(replica, "PUBLISH_BLOCKS", 2)
    contents = os.urandom(BLOCK * 9 + 5)
    one, other = processes(contents)
    assert bytes(other.view) == contents
    for at in range(0, len(contents), BLOCK):
        one.view[at] ^= 255
    other.view[BLOCK + 1] ^= 255
    one.release()
    other.release()
    other.acquire()
    one.acquire()
    assert bytes(one.view) == bytes(other.view) != contents


def test_what_is_sent_again_is_in_an_answer_that_stops_short(processes, monkeypatch):
    monkeypatch.setattr(replica, "FETCH_BLOCKS", 2)
    one, other, reader = processes(bytes(BLOCK * 9), count=3)
    one.view[0] = 1
    one.release()
    # As far as it knows.
    one.engine.lost()
    other.view[BLOCK] = other.view[2 * BLOCK] = 2
    other.release()
    one.view[3 * BLOCK] = 3
    one.release()
    reader.acquire()
    assert list(reader.view[: 4 * BLOCK : BLOCK]) == [1, 2, 2, 3]


def test_zeros_do_not_travel(joined):
    session = joined()
    engine = Engine(session)
    shared = engine.share(Plain(bytes(100 * BLOCK)))
    session.store.settle()
    assert session.store.ask("EXISTS", session.keys.object(shared.oid, "d")) == 0


def test_every_key_expires(processes):
    one, _other = processes(b"x" * (9 * BLOCK))
    for part in ("h0", "d", "g"):
        left = one.session.store.ask("PTTL", one.session.keys.object(one.replica.oid, part))
        assert 0 < left <= one.session.ttl


def test_nothing_is_written_to_a_segment_that_is_gone(processes):
    one, _other = processes(b"..")
    keys = [one.session.keys.object(one.replica.oid, part) for part in ("h0", "d", "g")]
    one.session.store.ask("DEL", *keys)
    one.view[0] = 1
    one.release()
    one.acquire()
    assert one.session.store.ask("EXISTS", *keys) == 0
    assert one.view[0] == 1


def test_a_replica_that_is_collected_publishes_its_last_changes(processes):
    one, other = processes(b"..")
    one.view[0] = 5
    view, plain = one.view, one.plain
    del one.replica
    gc.collect()
    assert plain.freed
    with pytest.raises(ValueError, match="released"):
        view[0]
    assert not one.engine.publish()
    assert one.engine.attached == ()
    one.session.store.settle()
    other.acquire()
    assert other.view[0] == 5


def test_a_segment_that_is_attached_again_has_what_this_process_wrote_before(processes):
    one, other = processes(b"..", 2)
    oid, hold = one.replica.oid, one.replica.hold
    one.view[0] = 5
    del one.replica
    again = Plain(bytes(2))
    one.replica = one.engine.replicate(oid, again)
    assert again.view[0] == 5
    again.view[1] = 6
    one.release()
    other.acquire()
    assert bytes(other.view) == b"\5\6"
    assert hold is one.replica.hold


def test_nothing_attached_costs_nothing(joined):
    engine = Engine(joined())
    assert engine.publish() == ()
    assert engine.fetch() == ()
    engine.synchronise()
    assert engine._current().store.waits == 0
    assert not memory.publish()
    assert not memory.fetch()


def test_many_threads_share_one_counter_under_a_lock_in_the_store(processes):
    team = processes(bytes(8), 3)
    store, key = team[0].session.store, team[0].session.keys("test-lock")
    store.ask("RPUSH", key, "1")

    def work(process, times):
        for _ in range(times):
            replies = process.session.store.pop(key, 30, process.engine.fetch())
            process.engine.merge(replies[1:])
            value = int.from_bytes(process.view, "little") + 1
            process.view[:] = value.to_bytes(8, "little")
            process.session.store.cast(*process.engine.publish(), ("RPUSH", key, "1"))

    # Two threads of each process: their publications and answers interleave.
    threads = [threading.Thread(target=work, args=(process, 150)) for process in team for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.ask("DEL", key)
    for process in team:
        process.engine.synchronise()
        assert int.from_bytes(process.view, "little") == 900


class TestExchange:
    @pytest.fixture
    def polled(self, processes):
        one, other = processes(b"..")
        one.engine.exchange()
        other.engine.exchange()
        yield one, other
        one.engine._exchange.stop()
        other.engine._exchange.stop()

    def test_a_polled_value_changes_without_synchronisation(self, polled):
        one, other = polled
        one.view[0] = 9
        deadline = time.monotonic() + 10
        # Polling is what is tested.
        while other.view[0] != 9 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert other.view[0] == 9

    def test_it_ends_when_nothing_is_attached_and_begins_again(self, polled):
        one, _other = polled
        ended = one.engine._exchange.ended
        assert not ended.is_set()
        del one.replica
        gc.collect()
        assert ended.wait(10)
        one.engine.exchange()
        assert not ended.is_set()

    def test_it_is_no_thread_of_the_program(self, processes):
        one, _other = processes(b"..")
        before = background.count()
        one.engine.exchange()
        assert not one.engine._exchange.ended.is_set()
        assert background.count() <= before
        one.engine._exchange.stop()

    def test_it_stops_for_good(self, polled):
        one, _other = polled
        stopped = one.engine._exchange
        stopped.stop()
        assert stopped.ended.is_set()
        assert stopped.start() is False

    def test_a_store_that_fails_is_reported_once(self, caplog):
        tries = threading.Semaphore(0)

        class Failing:
            published = merged = 0
            attached = (1,)

            def poll(self):
                tries.release()
                raise StoreError("no store")

        failing = exchange.Exchange(Failing())
        assert failing._once() == failing._once() == exchange.AFTER_FAILURE
        assert [record.getMessage() for record in caplog.records] == [
            "shared memory that is polled is not up to date: no store"
        ]

    def test_it_rests_when_the_process_synchronises_itself(self, monkeypatch):
        monkeypatch.setattr(exchange, "EVERY", 0.001)
        seen = threading.Event()

        class Busy:
            merged = 0
            calls = 0
            looks = 0

            @property
            def published(self):
                self.looks += 1
                self.merged += 1
                if self.looks > 20:
                    seen.set()
                return self.looks

            attached = (1,)

            def poll(self):
                self.calls += 1

        busy = Busy()
        resting = exchange.Exchange(busy)
        resting.start()
        assert seen.wait(10)
        resting.stop()
        assert busy.calls == 0


def test_the_child_of_a_fork_goes_on_by_itself(processes, joined):
    one, other = processes(b"...")
    one.view[0] = ord("p")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            one.session.store.reset()
            one.session.uid += "-child"
            one.engine.after_fork_in_child()
            one.view[1] = ord("c")
            one.engine.synchronise()
            held = one.session.store.ask(
                "SISMEMBER", one.session.keys.object(one.replica.oid, "h0"), one.session.uid
            )
            code = 0 if held else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.acquire()
    # What the parent had not released yet is the parent's to publish.
    assert bytes(other.view) == b".c."
    one.release()
    one.acquire()
    other.acquire()
    assert bytes(one.view) == bytes(other.view) == b"pc."


def test_one_command_asks_for_all_segments(processes):
    one, other = processes(b"....")
    again = Plain(bytes(9 * BLOCK))
    two = one.engine.share(again)
    again.view[BLOCK] = 3
    theirs = Plain(bytes(9 * BLOCK))
    other.replica2 = other.engine.replicate(two.oid, theirs)
    one.view[1] = 5
    one.release()
    (answers,) = other.acquire()
    # Behind the block of the large one, its journal and its tracts.
    assert [len(answer) for answer in answers] == [7, 10]
    assert (other.view[1], theirs.view[BLOCK]) == (5, 3)


def test_an_answer_in_pieces_knows_what_of_its_reader_was_applied(processes, monkeypatch):
    monkeypatch.setattr(replica, "FETCH_BLOCKS", 2)
    one, other = processes(b"." * (12 * BLOCK))
    other.view[0] = 1
    other.release()
    # It stops short.
    answer = one.session.store.call(*one.engine.fetch())
    one.view[0] = 2
    one.release()
    other.view[0] = 3
    other.release()
    one.engine.merge(answer)
    one.acquire()
    assert one.view[0] == other.view[0] == 3
