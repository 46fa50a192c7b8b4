"""Sharing by other ways than inheritance: refused where it is, and connections through queues and pipes."""

import multiprocessing as mp
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import sharedctypes
from multiprocessing.reduction import ForkingPickler


def answer(requests, results):
    """Serves connections that come through a queue."""
    while (conn := requests.get()) is not None:
        conn.send(("served", conn.recv()))
        conn.close()
    results.put("no more")


def send_ends(queue):
    here, there = mp.Pipe()
    queue.put(there)
    there.close()
    # The queue's taker has the other end now.
    print("process:", here.recv())
    here.send(mp.current_process().name)
    try:
        here.recv()
    except EOFError:
        print("process: EOFError", flush=True)


def relay(conn):
    passed = conn.recv()
    passed.send("an end that came through an end")
    conn.send(passed)
    # The taker of an end asks its sender for it.
    conn.recv()


def use(proxy):
    proxy.append("from a pool")
    return type(proxy).__name__


def echo(thing):
    return thing


def take_proxy(queue):
    proxy = queue.get()
    proxy["seen"] = True


def error_of(call, *args):
    try:
        return call(*args)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(' object at ')[0]}"


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def refused():
    """What only goes to a process that is being started."""
    things = {
        "Lock": mp.Lock(),
        "RLock": mp.RLock(),
        "Semaphore": mp.Semaphore(),
        "Condition": mp.Condition(),
        "Event": mp.Event(),
        "Barrier": mp.Barrier(2),
        "Queue": mp.Queue(),
        "JoinableQueue": mp.JoinableQueue(),
        "SimpleQueue": mp.SimpleQueue(),
        "Value": mp.Value("i"),
        "Array": mp.Array("i", 2),
        "RawValue": sharedctypes.RawValue("i"),
        "RawArray": sharedctypes.RawArray("i", 2),
        "Process": mp.Process(),
        "authkey": mp.current_process().authkey,
    }
    here, there = mp.Pipe()
    for name, thing in things.items():
        for refusal in error_of(ForkingPickler.dumps, thing), error_of(there.send, thing):
            # An event and a barrier are refused by the name of a part of theirs.
            print(name, refusal)
    print(here.poll())
    print(error_of(pickle.dumps, mp.Pool) is not None, error_of(pickle.dumps, mp.current_process().authkey))
    simple = mp.SimpleQueue()
    print(error_of(simple.put, mp.Lock()), simple.empty())
    with mp.Pool(1) as pool:
        pool.apply(echo, (1,))
        print(error_of(pool.apply, echo, (mp.Lock(),)), error_of(pool.apply, echo, (pool,)))
    with ProcessPoolExecutor(1, mp_context=mp.get_context()) as executor:
        print(error_of(executor.submit(echo, mp.Queue()).result, 30))


def connections():
    requests, results = mp.Queue(), mp.Queue()
    server = start(answer, requests, results)
    for number in range(3):
        here, there = mp.Pipe()
        requests.put(there)
        here.send(number)
        print(here.recv())
        there.close()
        try:
            here.recv()
        except EOFError:
            print("EOFError")
    requests.put(None)
    print(results.get())
    server.join()
    queue = mp.SimpleQueue()
    process = start(send_ends, queue)
    conn = queue.get()
    conn.send("hello")
    print(conn.recv().partition("-")[0], type(conn).__name__, conn.readable, conn.writable)
    conn.close()
    process.join()
    ours, theirs = mp.Pipe()
    reader, writer = mp.Pipe(duplex=False)
    process = start(relay, theirs)
    ours.send(writer)
    print(reader.recv())
    back = ours.recv()
    ours.send("taken")
    process.join()
    back.send("back again")
    print(reader.recv(), back.readable, back.writable)
    for end in (back, writer):
        end.close()
    try:
        reader.recv()
    except EOFError:
        print("EOFError at the last one's end")


def proxies():
    with mp.Manager() as manager, mp.Pool(2) as pool:
        names, queue = manager.list(), mp.Queue()
        print(pool.map(use, [names] * 3), list(names))
        shared = manager.dict()
        process = start(take_proxy, queue)
        queue.put(shared)
        process.join()
        print(dict(shared))
        lock = manager.Lock()
        returned = pool.apply(echo, (lock,))
        print(type(returned).__name__, returned.acquire(), lock.acquire(False))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    refused()
    connections()
    proxies()
