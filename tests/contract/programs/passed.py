"""Every primitive as an argument: directly, within containers and objects, several times the same."""

import multiprocessing as mp
import sys
from multiprocessing import sharedctypes


class Holder:
    """An object of the program's own that holds what it was given."""

    def __init__(self, **held):
        self.__dict__.update(held)


def describe(conn, kinds):
    """What arrived, and that the same object arrived as one."""
    conn.send({name: type(one).__name__ for name, one in kinds.items()})


def same(conn, first, second, within, holder):
    found = [first is second, within[0] is first, within[1]["deep"] is first, holder.lock is first]
    conn.send((found, holder.pair[0] is holder.pair[1], holder.queue is within[2]))
    # One lock it is, too.
    with first:
        conn.send((second.acquire(False), holder.lock.acquire(False)))
    holder.queue.put("through the queue within an object")
    within[2].put("through the queue within a list")


def use(conn, lock, rlock, semaphore, bounded, condition, event, barrier, value, array, raw_value, raw_array):
    with lock, rlock, rlock, semaphore, bounded, condition:
        value.value += 1
        array[0] = 7.5
        raw_value.value = 42
        raw_array[1] = 9
        text = array.get_obj()
        conn.send(
            (repr(lock), repr(rlock).partition(",")[2], semaphore.get_value(), len(text), list(raw_array))
        )
    event.set()
    conn.send((barrier.parties, barrier.wait(30) in (0, 1)))


def use_queues(queue, joinable, simple, receiver, sender):
    queue.put(("queue", receiver.recv()))
    joinable.put("joinable")
    simple.put("simple")
    sender.send("sent")
    sender.close()


def use_proxies(conn, shared, names, lock, manager_queue):
    with lock:
        shared["count"] += 1
        names.append(shared["inner"]["deep"])
        manager_queue.put(len(names))
        conn.send(("done", shared["count"]))


def use_process(conn, process, parent_name):
    conn.send((process.name, mp.parent_process().name == parent_name, mp.current_process().daemon))
    for question in (process.is_alive, process.join):
        try:
            question()
        except AssertionError as error:
            conn.send(str(error))


def start(target, *args, **kwargs):
    process = mp.Process(target=target, args=args, kwargs=kwargs)
    process.start()
    return process


def by_kind():
    here, there = mp.Pipe()
    kinds = {
        "lock": mp.Lock(),
        "rlock": mp.RLock(),
        "semaphore": mp.Semaphore(3),
        "bounded": mp.BoundedSemaphore(2),
        "condition": mp.Condition(),
        "condition over a lock": mp.Condition(mp.Lock()),
        "event": mp.Event(),
        "barrier": mp.Barrier(2),
        "queue": mp.Queue(),
        "joinable": mp.JoinableQueue(5),
        "simple": mp.SimpleQueue(),
        "receiver": mp.Pipe(False)[0],
        "sender": mp.Pipe(False)[1],
        "end": mp.Pipe()[0],
        "value": mp.Value("i", 1),
        "value without a lock": mp.Value("d", 1.5, lock=False),
        "value with a lock of another": mp.Value("i", 1, lock=mp.RLock()),
        "array": mp.Array("d", 3),
        "text": mp.Array("c", 10),
        "array without a lock": mp.Array("i", [1, 2], lock=False),
        "raw value": sharedctypes.RawValue("i", 3),
        "raw array": sharedctypes.RawArray("i", 3),
        "synchronised": sharedctypes.synchronized(sharedctypes.RawArray("h", 2)),
        "process": mp.Process(target=print),
        "key": None,
    }
    process = start(describe, there, kinds)
    print(here.recv(), process.join(), process.exitcode)
    process = start(describe, there, {"within": [kinds], "tuple": ((kinds["lock"],), kinds["lock"])})
    print(here.recv(), process.join(), process.exitcode)


def identity():
    here, there = mp.Pipe()
    lock, queue = mp.Lock(), mp.Queue()
    array = mp.Array("i", 3)
    within = [lock, {"deep": lock}, queue]
    process = start(same, there, lock, lock, within, Holder(lock=lock, queue=queue, pair=(array, array)))
    print(here.recv(), here.recv(), sorted((queue.get(), queue.get())))
    process.join()


def at_work():
    here, there = mp.Pipe()
    value, array = mp.Value("i", 1), mp.Array("d", 2)
    raw_value, raw_array = sharedctypes.RawValue("i", 3), sharedctypes.RawArray("i", 3)
    lock, rlock, condition, event, barrier = mp.Lock(), mp.RLock(), mp.Condition(), mp.Event(), mp.Barrier(2)
    semaphores = mp.Semaphore(2), mp.BoundedSemaphore(2)
    memory = value, array, raw_value, raw_array
    process = start(use, there, lock, rlock, *semaphores, condition, event, barrier, *memory)
    print(here.recv(), event.wait(30), barrier.wait(30) in (0, 1), here.recv())
    process.join()
    print(value.value, array[:], raw_value.value, list(raw_array), [one.get_value() for one in semaphores])
    queue, joinable, simple = mp.Queue(), mp.JoinableQueue(), mp.SimpleQueue()
    receiver, to_receiver = mp.Pipe(False)
    from_sender, sender = mp.Pipe(False)
    to_receiver.send("received")
    process = start(use_queues, queue, joinable, simple, receiver, sender)
    sender.close()
    print(
        queue.get(), joinable.get(), joinable.task_done(), joinable.join(), simple.get(), from_sender.recv()
    )
    process.join()
    try:
        from_sender.recv()
    except EOFError:
        print("EOFError")


def proxies():
    here, there = mp.Pipe()
    with mp.Manager() as manager:
        shared, names = manager.dict(count=0, inner=manager.dict(deep="deep")), manager.list()
        lock, queue = manager.Lock(), manager.Queue()
        processes = [start(use_proxies, there, shared, names, lock, manager_queue=queue) for _ in range(2)]
        print(sorted((here.recv(), here.recv())), list(names), sorted((queue.get(), queue.get())))
        for process in processes:
            process.join()
    process = mp.Process(target=print, name="not started")
    user = start(use_process, there, process, mp.current_process().name)
    print(here.recv(), here.recv(), "|", here.recv())
    user.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    by_kind()
    identity()
    at_work()
    proxies()
