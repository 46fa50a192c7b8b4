"""Functions whose time-out is seconds: what serves tasks outlives them, and what cannot ends in time."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from lambda_front import Front

#: Seconds an invocation may take; an environment that takes longer is killed. Long enough for
#: successors to start on a busy machine.
TIMEOUT = 4.0

POOL = """
    import multiprocessing, os, sys, time
    from concurrent.futures import ProcessPoolExecutor

    began = None

    def begin():
        global began
        began = time.time()

    def square(number):
        time.sleep(0.2)
        return number * number, os.getpid(), began

    if __name__ == "__main__":
        if sys.argv[1] == "pool":
            with multiprocessing.get_context(sys.argv[2]).Pool(2, begin) as pool:
                found = list(pool.imap_unordered(square, range(400), chunksize=1))
        else:
            context = multiprocessing.get_context(sys.argv[2])
            with ProcessPoolExecutor(2, context, begin) as pool:
                found = list(pool.map(square, range(400)))
        print(sorted(value for value, _, _ in found) == [number**2 for number in range(400)])
        print(len({pid for _, pid, _ in found}), None not in {began for _, _, began in found})
        print(len({began for _, _, began in found}))
"""


def test_pools_work_for_ten_times_the_limit(front: Callable[..., Front], start: Callable[..., Any]) -> None:
    # Side by side, for they mostly sleep.
    fronts = [front(timeout=TIMEOUT), front(timeout=TIMEOUT)]
    programs = [start(fronts[0], POOL, "pool", "fork"), start(fronts[1], POOL, "executor", "spawn")]
    for function, program in zip(fronts, programs):
        ran = program.finish()
        assert (ran.err, ran.status) == ("", 0)
        every_result_once, same_processes, begun = ran.out.splitlines()
        assert every_result_once == "True"
        # The processes are the ones that the pool started, begun again.
        assert same_processes == "2 True"
        assert int(begun) >= 20
        done = [one for one in function.invocations if one.done.is_set()]
        assert done[-1].begun - done[0].begun > 9 * TIMEOUT
        # None was ended by the platform: its successor was there before.
        assert [one.result for one in done if one.error] == []
        assert max(one.ended - one.begun for one in done) < TIMEOUT


ONE_TASK = """
    import multiprocessing, time
    def sleep(seconds):
        time.sleep(seconds)
        return seconds
    if __name__ == "__main__":
        with multiprocessing.Pool(1) as pool:
            try:
                pool.map(sleep, [0.1, 600])
            except TimeoutError as error:
                print(type(error).__name__, error)
            print(pool.map(sleep, [0.1]))
"""


def test_a_task_that_would_outlive_the_limit_has_an_error_as_its_result(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    function = front(timeout=TIMEOUT)
    ran = run(function, ONE_TASK)
    assert ran.status == 0, ran.err
    error, rest = ran.out.splitlines()
    assert error.startswith("OutlivedError a task would outlive its worker, which may run for 4 s")
    assert "raise the function's timeout" in error
    assert rest == "[0.1]"
    assert not any(one.error for one in function.invocations)


BARE = """
    import multiprocessing, signal, sys, time
    def sleep():
        if sys.argv[1] == "deaf":
            signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        try:
            time.sleep(600)
        finally:
            print("cleaned up", flush=True)
    if __name__ == "__main__":
        process = multiprocessing.Process(target=sleep)
        process.start()
        process.join()
        print(process.exitcode)
"""


@pytest.mark.parametrize(
    ("how", "out", "error"),
    [
        (
            "hears",
            "cleaned up\n124\n",
            "a process would outlive its worker, which may run for 4 s, and was ended",
        ),
        ("deaf", "124\n", "a process went on at its worker's limit of 4 s and was killed"),
    ],
)
def test_a_process_that_would_outlive_the_limit_ends_before_it_and_says_so(
    front: Callable[..., Front], run: Callable[..., Any], how: str, out: str, error: str
) -> None:
    function = front(timeout=TIMEOUT)
    ran = run(function, BARE, how)
    assert (ran.out, ran.status) == (out, 0)
    assert error in ran.err
    (invocation,) = function.launches
    assert invocation.done.wait(60)
    assert invocation.error == ""
    assert json.loads(invocation.result)["seconds"] < TIMEOUT


IDLE = """
    import multiprocessing, sys
    def echo(value):
        return value
    if __name__ == "__main__":
        with multiprocessing.Pool(1) as pool:
            print(pool.map(echo, "a"), flush=True)
            sys.stdin.readline()
            print(pool.map(echo, "b"), flush=True)
"""


def test_a_pool_that_waits_is_there_after_the_limit(
    front: Callable[..., Front], start: Callable[..., Any]
) -> None:
    function = front(timeout=TIMEOUT)
    program = start(function, IDLE)
    assert program.hear() == "['a']"
    assert function.invocations[0].done.wait(60)
    assert function.invocations[0].error == ""
    program.say("go on")
    assert program.hear() == "['b']"
    assert program.finish().status == 0


def test_a_signal_reaches_a_process_that_has_passed_on(
    front: Callable[..., Front], start: Callable[..., Any]
) -> None:
    program = start(
        front(timeout=TIMEOUT),
        """
        import multiprocessing, sys
        from concurrent.futures import ProcessPoolExecutor
        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(int, "1").result(), flush=True)
                sys.stdin.readline()
                (process,) = pool._processes.values()
                process.terminate()
                process.join()
                print(process.exitcode)
        """,
    )
    assert program.hear() == "1"
    program.say("end it")
    ran = program.finish()
    assert (ran.out, ran.status) == ("-15\n", 0), ran.err
