"""Managers served at an address, to which others connect by address and key."""

import multiprocessing as mp
import queue
import sys
import threading
from multiprocessing import managers

KEY = b"remote managers"


class Counter:
    def __init__(self):
        self.value = 0

    def add(self, number):
        self.value += number
        return self.value


class Service(managers.BaseManager):
    pass


class Served(Service):
    pass


class Remote(Service):
    pass


QUEUE, COUNTER = queue.Queue(), Counter()
Served.register("get_queue", callable=lambda: QUEUE)
Served.register("get_counter", callable=lambda: COUNTER)
Served.register("Counter", Counter)
for name in ("get_queue", "get_counter", "Counter"):
    Remote.register(name)


def connect(address):
    remote = Remote(address=address, authkey=KEY)
    remote.connect()
    return remote


def work(address, number):
    remote = connect(address)
    remote.get_counter().add(number)
    remote.get_queue().put((number, remote.Counter().add(1)))


def knock(address, conn):
    try:
        Remote(address=address, authkey=b"the wrong key").connect()
    except mp.AuthenticationError as error:
        conn.send(str(error))
    # A process has its parent's key, which is what a manager without one uses.
    try:
        Remote(address=address).connect()
    except mp.AuthenticationError as error:
        conn.send(str(error))


def serve(conn):
    server = Served(authkey=KEY).get_server()
    conn.send(server.address)
    server.serve_forever()


def serve_one(conn):
    with Served(authkey=KEY) as served:
        conn.send(served.address)
        conn.recv()


def started(target, *args, **kwargs):
    process = mp.Process(target=target, args=args, **kwargs)
    process.start()
    return process


def use(address):
    processes = [started(work, address, number) for number in (1, 2, 3)]
    for process in processes:
        process.join()
    remote = connect(address)
    shared = remote.get_queue()
    print(sorted(shared.get() for _ in processes), shared.empty(), remote.get_counter().add(0))
    print(remote.get_counter().add(10), remote.Counter().add(1), [process.exitcode for process in processes])


def in_a_thread():
    """The server runs in this process, beside what the program does."""
    server = Served(("127.0.0.1", 0), KEY).get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.address[0])
    use(server.address)
    # What the server serves are this process's own objects.
    print(COUNTER.value, QUEUE.qsize())
    here, there = mp.Pipe()
    process = started(knock, server.address, there)
    print(here.recv(), "|", here.recv())
    process.join()


def in_a_process():
    """The server runs in a process of its own, and is used by its siblings and its parent."""
    here, there = mp.Pipe()
    process = started(serve, there, daemon=True)
    use(here.recv())
    process.terminate()
    process.join()
    print(COUNTER.value, process.exitcode)


def of_a_process():
    """A process starts a manager; others connect to it."""
    here, there = mp.Pipe()
    process = started(serve_one, there)
    address = here.recv()
    use(address)
    here.send("done")
    process.join()
    print(process.exitcode)
    try:
        connect(address)
    except OSError as error:
        print(type(error).__name__)


def misuse():
    served = Served(("127.0.0.1", 0), KEY)
    try:
        served.get_counter()
    except AssertionError as error:
        print(error)
    served.start()
    for again in (served.start, served.get_server):
        try:
            again()
        except mp.ProcessError as error:
            print(error)
    print(connect(served.address).Counter().add(2))
    served.shutdown()
    served.shutdown()
    served.join(5)
    print(served._state.value == managers.State.SHUTDOWN)


if __name__ == "__main__":
    # The server's objects are this module's, so each way of serving finds them as the module made them.
    mp.set_start_method(sys.argv[1])
    if sys.argv[1] == "fork":
        misuse()
    in_a_thread()
    in_a_process()
    if sys.argv[1] == "fork":
        of_a_process()
