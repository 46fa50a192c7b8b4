"""Queues whose producers are far ahead of their consumers: feeder threads, order, joining, the end."""

import multiprocessing as mp
import sys
import threading

#: More than a pipe, or whatever stands in its place, takes before somebody reads: in small items, in middling
#: and in large ones.
SMALL = 9_000
MANY = 250
PADDING = bytes(40_000)
LARGE = 6_000_000


def produce(queue):
    for number in range(SMALL):
        queue.put(number)
    print("has put everything", flush=True)


def put_all(queue):
    for number in range(MANY):
        queue.put((number, PADDING))


def produce_large(queue, count):
    for number in range(count):
        queue.put(bytes([number]) * LARGE)


def put_and_cancel(queue):
    put_all(queue)
    queue.cancel_join_thread()


def consume(queue, results):
    count = total = 0
    for item in iter(queue.get, None):
        count, total = count + 1, total + item[0]
    results.put((count, total))


def by_itself(queue, results):
    put_all(queue)
    results.put([queue.get()[0] for _ in range(MANY)] == list(range(MANY)))


def finish(queue):
    for _ in range(MANY):
        queue.get()
        queue.task_done()


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def one_producer():
    queue = mp.Queue()
    process = start(produce, queue)
    found = [queue.get() for _ in range(SMALL)]
    process.join()
    print("in order:", found == list(range(SMALL)), queue.empty(), process.exitcode)


def several_producers():
    queue = mp.Queue()
    processes = [start(produce_large, queue, 3) for _ in range(2)]
    found = sorted(queue.get()[0] for _ in range(6))
    for process in processes:
        process.join()
    print("several:", found, [process.exitcode for process in processes])


def consumers_later():
    queue, results = mp.Queue(), mp.Queue()
    first = start(consume, queue, results)
    queue.put(None)
    print("first:", results.get())
    first.join()
    # Shared by now, and nobody reads.
    put_all(queue)
    for number in range(5):
        queue.put(bytes([number]) * LARGE)
    consumers = [start(consume, queue, results) for _ in range(2)]
    for _ in consumers:
        queue.put(None)
    answers = [results.get() for _ in consumers]
    for process in consumers:
        process.join()
    print("later:", sum(count for count, _ in answers), sum(total for _, total in answers))


def joining():
    queue, results = mp.Queue(), mp.Queue()
    start(consume, queue, results).join(0)
    put_all(queue)
    queue.put(None)
    queue.close()
    queue.join_thread()
    print("joined:", results.get())


def cancelled():
    queue = mp.Queue()
    process = start(put_and_cancel, queue)
    process.join()
    # What had not left by then is lost.
    print("cancelled:", process.exitcode)


def own_items():
    queue, results = mp.Queue(), mp.Queue()
    process = start(by_itself, queue, results)
    print("its own:", results.get())
    process.join()


def tasks():
    queue = mp.JoinableQueue()
    process = start(finish, queue)
    put_all(queue)
    queue.join()
    process.join()
    print("tasks:", queue.empty())


def simple():
    queue, results = mp.SimpleQueue(), mp.Queue()
    # Its put may block, so somebody else must read.
    process = start(consume, queue, results)
    put_all(queue)
    queue.put(None)
    print("simple:", results.get())
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    one_producer()
    several_producers()
    consumers_later()
    joining()
    cancelled()
    own_items()
    tasks()
    simple()
    print([thread.name for thread in threading.enumerate() if thread.name != "QueueFeederThread"])
