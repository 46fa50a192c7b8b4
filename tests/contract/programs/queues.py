"""Queues of every kind, bounded and not."""

import multiprocessing as mp
import sys
import time
from queue import Empty, Full


def produce(queue, name, count):
    for number in range(count):
        queue.put((name, number))


def consume(queue, result):
    total = 0
    for number in iter(queue.get, None):
        total += number
    result.put(total)


def work(queue, result):
    while True:
        item = queue.get()
        result.put(item * 2)
        queue.task_done()


def put_one(queue, item):
    queue.put(item)


def fill(queue, result):
    queue.put("first")
    queue.put("second", timeout=30)
    for attempt in (lambda: queue.put("x", timeout=0.05), lambda: queue.put_nowait("x")):
        try:
            attempt()
        except Full:
            result.put("Full")
    result.put((queue.full(), queue.empty(), queue.qsize()))


def start(target, *args, **kwargs):
    process = mp.Process(target=target, args=args, **kwargs)
    process.start()
    return process


def unbounded():
    queue = mp.Queue()
    queue.put("before the processes")
    processes = [start(produce, queue, name, 50) for name in "ab"]
    got = [queue.get() for _ in range(101)]
    # Plain Python's is fed by a thread, which the processes may overtake.
    got.remove("before the processes")
    print(sorted(got) == sorted((name, number) for name in "ab" for number in range(50)))
    print([number for name, number in got if name == "a"] == list(range(50)))
    for attempt in (lambda: queue.get(timeout=0.05), lambda: queue.get(False), queue.get_nowait):
        try:
            attempt()
        except Empty:
            print("Empty")
    print(queue.empty(), queue.full(), queue.qsize())
    for process in processes:
        process.join()
    queue.close()
    try:
        queue.put(1)
    except ValueError as error:
        print(str(error).partition("<")[0], str(error).rpartition(">")[2])


def bounded():
    queue, result = mp.Queue(2), mp.SimpleQueue()
    process = start(fill, queue, result)
    print([result.get() for _ in range(3)])
    process.join()
    print(queue.full(), queue.get(), queue.full(), queue.get(), queue.empty())
    started = time.monotonic()
    try:
        queue.get(timeout=0.2)
    except Empty:
        print(0.19 < time.monotonic() - started < 10)
    result.close()


def consumers():
    queue, result = mp.Queue(5), mp.Queue()
    processes = [start(consume, queue, result) for _ in range(2)]
    for number in range(100):
        queue.put(number)
    for _ in processes:
        queue.put(None)
    print(sum(result.get() for _ in processes))
    for process in processes:
        process.join()
    print(queue.empty(), result.empty())


def joinable():
    queue, result = mp.JoinableQueue(), mp.SimpleQueue()
    for number in range(5):
        queue.put(number)
    start(work, queue, result, daemon=True)
    queue.join()
    print(sorted(result.get() for _ in range(5)), result.empty())
    try:
        queue.task_done()
    except ValueError as error:
        print(error)


def large():
    queue = mp.Queue()
    process = start(put_one, queue, b"z" * 5 * 2**20)
    print(len(queue.get()))
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    unbounded()
    bounded()
    consumers()
    joinable()
    large()
