"""What fails on Lambda: refusals, functions that do not work, environments that die or freeze."""

from __future__ import annotations

import json
import time
from typing import Any, Callable

import pytest
from lambda_front import Front

HELLO = """
    import multiprocessing
    if __name__ == "__main__":
        process = multiprocessing.Process(target=print, args=("hello",))
        try:
            process.start()
        except OSError as error:
            print(type(error).__name__, error)
        else:
            process.join()
            print(process.exitcode)
"""

#: Settings with which the dead are noticed soon.
SOON = {"LEASE": "2"}


def test_a_refusal_is_an_error_at_start_that_says_what_to_do(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    function = front()
    function.refusals.append((403, "AccessDeniedException"))
    ran = run(function, HELLO)
    assert ran.status == 0
    assert ran.out.startswith("LaunchError no worker could be started: the function workers is not run")
    assert "AccessDeniedException" in ran.out
    assert "need lambda:InvokeFunction" in ran.out


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [(502, "KMSAccessDeniedException", "kms:Decrypt"), (502, "KMSDisabledException", "enable it")],
)
def test_a_key_that_cannot_be_used_is_named(
    front: Callable[..., Front], run: Callable[..., Any], status: int, code: str, remedy: str
) -> None:
    function = front()
    function.refusals += [(status, code)] * 20
    out = run(function, HELLO).out
    assert code in out
    assert remedy in out


def test_a_function_that_is_not_there_is_named(front: Callable[..., Front], run: Callable[..., Any]) -> None:
    out = run(front(), HELLO, FUNCTION="missing").out
    assert "the function missing is not run" in out
    assert "check TRANSPARENT_MP_FUNCTION and the region" in out


def test_throttling_for_a_while_is_waited_out(front: Callable[..., Front], run: Callable[..., Any]) -> None:
    function = front()
    function.refusals += [(429, "TooManyRequestsException")] * 5
    assert run(function, HELLO).out == "hello\n0\n"
    events = [one.status for one in function.asked if one.kind == "Event"]
    assert events == [429] * 5 + [202]


def test_throttling_without_end_is_an_error_in_time(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    function = front()
    function.refusals += [(429, "TooManyRequestsException")] * 100
    out = run(function, HELLO, LAUNCH_TIMEOUT="3").out
    assert "raise its concurrency, or lower TRANSPARENT_MP_WORKERS" in out


def test_an_error_at_import_is_told_with_the_function_s_log(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    out = run(front(handler="nowhere.handler"), HELLO, LAUNCH_TIMEOUT="2").out
    assert "LaunchError no worker could be started: the function workers fails" in out
    assert "Runtime.ImportModuleError: Unable to import module 'nowhere'" in out


def test_a_store_that_the_function_cannot_reach_is_told_with_what_to_look_at(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    # Nobody listens there.
    url = "redis://:not-to-be-seen@10.200.0.1:9"
    ran = run(front(retry_after=()), HELLO, LAUNCH_TIMEOUT="2", WORKER_REDIS_URL=url)
    assert "the function workers cannot use the store (cannot" in ran.out
    assert "VPC" in ran.out
    assert "security groups" in ran.out
    assert "not-to-be-seen" not in ran.out + ran.err


def test_an_event_that_is_delivered_twice_makes_one_worker(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    function = front(twice=True)
    assert run(function, HELLO).out == "hello\n0\n"
    one, two = function.launches
    assert one.done.wait(60)
    assert two.done.wait(60)
    assert sorted(json.loads(each.result)["processes"] for each in (one, two)) == [0, 1]


def test_an_event_that_comes_after_its_worker_was_given_up_runs_nothing(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    function = front(event_delay=8.0)
    out = run(function, HELLO, LAUNCH_TIMEOUT="0.5").out
    assert out.startswith("LaunchError")
    assert "the function answers and reaches the store" in out
    (probe,) = function.invocations
    assert "store_ms" in json.loads(probe.result)
    # Waits for the event to come.
    assert function.delivered.wait(60)
    event = function.invocations[-1]
    assert event.done.wait(60)
    assert json.loads(event.result)["processes"] == 0


VICTIM = """
    import multiprocessing, sys, time
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    def work():
        print("at work", flush=True)
        time.sleep(600)
        print("alive", flush=True)
    if __name__ == "__main__":
        if sys.argv[1] == "process":
            process = multiprocessing.Process(target=work)
            process.start()
            process.join()
            print(process.exitcode, flush=True)
        else:
            with ProcessPoolExecutor(1) as pool:
                try:
                    pool.submit(work).result()
                except BrokenProcessPool:
                    print("broken", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize(("kind", "outcome"), [("process", "-9"), ("executor", "broken")])
def test_an_environment_that_is_killed_takes_its_process_with_it(
    front: Callable[..., Front], start: Callable[..., Any], kind: str, outcome: str
) -> None:
    function = front(retry_after=())
    program = start(function, VICTIM, kind, **SOON)
    assert program.hear() == "at work"
    (environment,) = function.busy()
    killed = time.monotonic()
    environment.kill()
    assert program.hear() == outcome
    # The lease, and the third of it between two looks.
    assert time.monotonic() - killed < 5
    program.say("end")
    assert program.finish().status == 0


def test_a_supervisor_that_is_killed_is_told_at_once(
    front: Callable[..., Front], start: Callable[..., Any]
) -> None:
    function = front(retry_after=())
    # Its lease is far from over.
    program = start(function, VICTIM, "process", LEASE="600")
    assert program.hear() == "at work"
    (environment,) = function.busy()
    # The runtime, the environment, the supervisor, its processes: in order of age.
    _runtime, _environment, supervisor, *_ = environment.inner()
    environment.kill_one(supervisor)
    assert program.hear() == "-9"
    (invocation,) = function.launches
    assert invocation.done.wait(60)
    assert "its supervisor ended with status -9" in json.loads(invocation.result)["errorMessage"]
    program.say("end")
    assert program.finish().status == 0


FROZEN = """
    import multiprocessing, sys, threading, time
    def work(queue, items):
        threading.Thread(target=items.get, daemon=True).start()
        print("at work", flush=True)
        while True:
            queue.put("alive")
            time.sleep(0.001)
    def another(items, queue):
        print(items.get())
    if __name__ == "__main__":
        queue, items = multiprocessing.Queue(), multiprocessing.Queue()
        process = multiprocessing.Process(target=work, args=(queue, items))
        process.start()
        process.join()
        print(process.exitcode, flush=True)
        while not queue.empty():
            queue.get()
        print("emptied", flush=True)
        sys.stdin.readline()
        # It has woken meanwhile.
        print(queue.empty(), flush=True)
        items.put("for another")
        process = multiprocessing.Process(target=another, args=(items, queue))
        process.start()
        process.join()
"""


def test_what_was_frozen_for_longer_than_its_lease_does_not_come_back(
    front: Callable[..., Front], start: Callable[..., Any]
) -> None:
    function = front(retry_after=())
    program = start(function, FROZEN, **SOON)
    assert program.hear() == "at work"
    (environment,) = function.busy()
    environment.stop()
    assert program.hear() == "-9"
    assert program.hear() == "emptied"
    environment.go_on()
    # It finds that it was taken for dead, kills its process, and answers.
    (invocation,) = function.launches
    assert invocation.done.wait(60)
    assert invocation.error == ""
    assert len(environment.inner()) == 2
    # And is given nothing any more.
    program.say("go on")
    assert program.hear() == "True"
    assert program.hear() == "for another"
    assert program.finish().status == 0
    assert json.loads(invocation.result)["processes"] == 1
    assert len(function.launches) == 2
