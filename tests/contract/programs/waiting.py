"""Waiting for sentinels, connections and sockets together: wait, select, selectors and asyncio."""

import asyncio
import multiprocessing as mp
import select
import selectors
import socket
import sys
import threading
from multiprocessing import connection


def answer(conn, gate):
    gate.recv()
    conn.send("from a process")
    conn.close()
    gate.recv()


def forward(conn, count):
    for number in range(count):
        conn.send(number)


def wait_there(conns, result):
    """A process waits for what others send."""
    names = dict(zip(conns, "abc"))
    order = []
    for _ in conns:
        (ready,) = connection.wait(conns, 30)
        order.append((names[ready], ready.recv()))
        result.send(order[-1])
    print("process:", connection.wait(conns, 0), connection.wait([], 0))


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def mixed():
    """One thing after another becomes ready, and only that is named."""
    here, there = mp.Pipe()
    gate, theirs = mp.Pipe()
    ours, other = socket.socketpair()
    process = start(answer, there, theirs)
    there.close()
    everything = [process.sentinel, here, ours]
    names = {process.sentinel: "sentinel", here: "connection", ours: "socket", gate: "gate"}
    name = lambda ready: sorted(names[one] for one in ready)  # noqa: E731
    print(name(connection.wait(everything, 0)), name(connection.wait(everything, 0.05)))
    other.send(b"x")
    print(name(connection.wait(everything, 30)), ours.recv(1))
    gate.send("go")
    print(name(connection.wait(everything, 30)), here.recv())
    print(name(connection.wait([process.sentinel, gate], 0.05)))
    other.send(b"y")
    gate.send("end")
    process.join()
    print(name(connection.wait([process.sentinel, ours], 30)), process.exitcode)
    print(name(connection.wait([process.sentinel], 30)), name(connection.wait([process.sentinel], 0)))
    # The end of a pipe makes it ready, too, unless a forked process still has the other end.
    here.close()
    ours.close()
    other.close()


def by_select():
    here, there = mp.Pipe(duplex=False)
    process = start(forward, there, 3)
    there.close()
    got = []
    while select.select([here], [], [], 30)[0]:
        try:
            got.append(here.recv())
        except EOFError:
            break
    process.join()
    print("select", got, select.select([process.sentinel], [], [], 0)[0] == [process.sentinel])

    here, there = mp.Pipe(duplex=False)
    process = start(forward, there, 3)
    there.close()
    got, poll = [], select.poll()
    poll.register(here.fileno(), select.POLLIN)
    poll.register(process.sentinel, select.POLLIN)
    while len(got) < 3:
        if here.fileno() in dict(poll.poll(30000)):
            got.append(here.recv())
    process.join()
    print("poll", got, here.fileno() == here.fileno(), [fd == process.sentinel for fd, _ in poll.poll(0)][-1])


def by_selector():
    pairs = [mp.Pipe(duplex=False) for _ in range(3)]
    processes = [start(forward, there, 5) for _, there in pairs]
    got = {name: [] for name in range(3)}
    with selectors.DefaultSelector() as selector:
        for name, (here, there) in enumerate(pairs):
            there.close()
            selector.register(here, selectors.EVENT_READ, name)
        while selector.get_map():
            for key, _ in selector.select(30):
                try:
                    got[key.data].append(key.fileobj.recv())
                except EOFError:
                    selector.unregister(key.fileobj)
    for process in processes:
        process.join()
    print("selectors", got)


async def by_asyncio():
    here, there = mp.Pipe(duplex=False)
    process = start(forward, there, 3)
    there.close()
    loop, got, ended = asyncio.get_running_loop(), [], asyncio.Event()
    exited = loop.create_future()

    def readable():
        try:
            got.append(here.recv())
        except EOFError:
            loop.remove_reader(here.fileno())
            ended.set()

    def over():
        loop.remove_reader(process.sentinel)
        process.join()
        exited.set_result(process.exitcode)

    loop.add_reader(here.fileno(), readable)
    loop.add_reader(process.sentinel, over)
    await asyncio.wait_for(ended.wait(), 30)
    print("asyncio", got, await asyncio.wait_for(exited, 30))


def in_a_process():
    pairs = [mp.Pipe() for _ in range(3)]
    result, theirs = mp.Pipe()
    process = start(wait_there, [there for _, there in pairs], theirs)
    for index in (2, 0, 1):
        pairs[index][0].send(index)
        print(result.recv())
    process.join()


def in_threads():
    """Several threads wait for several processes."""
    processes = [start(forward, mp.Pipe()[1], 0) for _ in range(3)]
    ended = []
    threads = [
        threading.Thread(target=lambda process=process: ended.append(connection.wait([process.sentinel], 30)))
        for process in processes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(ended) == sorted([process.sentinel] for process in processes))
    for process in processes:
        process.join()


def misuse():
    here, there = mp.Pipe()
    here.close()
    for wrong in ([here], [object()], ["text"]):
        try:
            connection.wait(wrong, 0)
        except (OSError, ValueError, TypeError) as error:
            print(type(error).__name__, str(error).partition(": <")[0])
    there.close()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    mixed()
    by_select()
    by_selector()
    asyncio.run(by_asyncio())
    in_a_process()
    in_threads()
    misuse()
