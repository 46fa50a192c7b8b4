"""Pool.apply: whose result its caller may read itself, beside others that want theirs."""

import multiprocessing as mp
import os
import signal
import sys
import threading


def square(number):
    return number * number


def answer(question, number, begun=None):
    """Once that was asked for."""
    if begun is not None:
        begun.set()
    question.wait(30)
    return number


def when(begun, call, *args):
    """Call when a task has begun, in another thread."""

    def wait():
        begun.wait(30)
        call(*args)

    threading.Thread(target=wait, daemon=True).start()


def give(results, pool, numbers):
    for number in numbers:
        results.append(pool.apply(square, (number,)))


def from_threads(pool):
    results = []
    threads = [
        threading.Thread(target=give, args=(results, pool, range(10 * one, 10 * one + 10)))
        for one in range(4)
    ]
    for thread in threads:
        thread.start()
    give(results, pool, range(40, 50))
    for thread in threads:
        thread.join()
    print(sorted(results) == [square(number) for number in range(50)])


def beside_others(pool, question):
    """What was asked before and what is asked meanwhile comes, too."""
    before = pool.apply_async(answer, (question, "before"))
    asked = []

    def ask():
        asked.append(pool.apply_async(square, (7,)).get(30))
        question.set()

    print(pool.apply(square, (5,)))
    thread = threading.Thread(target=ask)
    thread.start()
    print(pool.apply(answer, (question, "own")), before.get(30))
    thread.join()
    question.clear()
    print(asked)


def interrupted(pool, question, begun):
    """A key press ends the wait, and nothing else."""
    when(begun, signal.pthread_kill, threading.main_thread().ident, signal.SIGINT)
    try:
        pool.apply(answer, (question, "nobody's", begun))
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
    question.set()
    print([pool.apply(square, (number,)) for number in range(3)])
    question.clear()
    begun.clear()


def handled(pool, question, begun):
    """A handler may ask the pool, and may end the wait."""
    found = []

    def ask(*_):
        found.append(pool.apply(square, (9,)))
        question.set()

    def late(*_):
        raise TimeoutError("late")

    signal.signal(signal.SIGUSR1, ask)
    when(begun, os.kill, os.getpid(), signal.SIGUSR1)
    print(pool.apply(answer, (question, "behind it", begun)), found)
    question.clear()
    begun.clear()
    signal.signal(signal.SIGUSR1, late)
    when(begun, os.kill, os.getpid(), signal.SIGUSR1)
    try:
        pool.apply(answer, (question, "nobody's", begun))
    except TimeoutError as error:
        print(error)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    question.set()
    print(pool.apply(square, (4,)))
    question.clear()
    begun.clear()


def closed_meanwhile(pool, question, begun):
    """Another thread closes the pool: who has asked has its answer."""

    def close():
        pool.close()
        question.set()

    when(begun, close)
    print(pool.apply(answer, (question, "closed", begun)))
    pool.join()
    try:
        pool.apply(square, (1,))
    except ValueError as error:
        print(error)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with mp.Manager() as manager, mp.Pool(3) as pool:
        question, begun = manager.Event(), manager.Event()
        for _ in range(10):
            from_threads(pool)
        beside_others(pool, question)
        interrupted(pool, question, begun)
        handled(pool, question, begun)
        closed_meanwhile(pool, question, begun)
