"""Many small items through a queue: taken in a row, and by another process from where the first stopped."""

import multiprocessing as mp
import sys
from queue import Empty

MANY = 3_000
#: Taken by the program before another process goes on.
FIRST = 1_234


def produce(queue, begins, count):
    for number in range(begins, begins + count):
        queue.put(number)


def take(queue, orders, answers):
    for count in iter(orders.recv, None):
        answers.send([queue.get() for _ in range(count)])


def in_a_row():
    queue = mp.Queue()
    process = mp.Process(target=produce, args=(queue, 0, MANY))
    process.start()
    print("in a row:", [queue.get() for _ in range(MANY)] == list(range(MANY)))
    process.join()
    try:
        queue.get(timeout=0.01)
    except Empty:
        print("and nothing more", queue.empty())


def of_several():
    queue = mp.Queue()
    processes = [mp.Process(target=produce, args=(queue, MANY * at, MANY)) for at in range(3)]
    for process in processes:
        process.start()
    taken = [queue.get() for _ in range(3 * MANY)]
    for process in processes:
        process.join()
    for at in range(3):
        own = [number for number in taken if number // MANY == at]
        print("of", at, own == list(range(MANY * at, MANY * (at + 1))))


def handed_over():
    queue, (told, orders) = mp.Queue(), mp.Pipe(False)
    answers, theirs = mp.Pipe(False)
    other = mp.Process(target=take, args=(queue, told, theirs))
    other.start()
    process = mp.Process(target=produce, args=(queue, 0, MANY))
    process.start()
    taken = [queue.get() for _ in range(FIRST)]
    orders.send(500)
    taken += answers.recv()
    taken += [queue.get() for _ in range(FIRST)]
    orders.send(MANY - len(taken))
    taken += answers.recv()
    orders.send(None)
    print("by two, one after the other:", taken == list(range(MANY)))
    process.join()
    other.join()
    print(queue.empty(), process.exitcode, other.exitcode)


def to_a_new_one():
    queue, (told, orders) = mp.Queue(), mp.Pipe(False)
    answers, theirs = mp.Pipe(False)
    process = mp.Process(target=produce, args=(queue, 0, MANY))
    process.start()
    taken = [queue.get() for _ in range(FIRST)]
    other = mp.Process(target=take, args=(queue, told, theirs))
    other.start()
    orders.send(MANY - FIRST)
    taken += answers.recv()
    orders.send(None)
    print("by one that was started then:", taken == list(range(MANY)))
    process.join()
    other.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    in_a_row()
    of_several()
    handed_over()
    to_a_new_one()
