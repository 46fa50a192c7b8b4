"""Listeners and clients, here and in processes, of each family, with keys right and wrong."""

import multiprocessing as mp
import os
import sys
import tempfile
import threading
from multiprocessing import connection


def talk(address, authkey, family=None):
    with connection.Client(address, family, authkey=authkey) as conn:
        conn.send([os.getpid(), "hello"])
        print("process got", conn.recv(), conn.readable, conn.writable)
        conn.send_bytes(b"raw bytes")
        try:
            conn.recv()
        except EOFError:
            print("process reads the end", flush=True)


def talk_wrong(address, authkey):
    try:
        connection.Client(address, authkey=authkey)
    except (mp.AuthenticationError, EOFError, OSError) as error:
        print("process:", type(error).__name__, error, flush=True)


def listen(conn, authkey):
    with connection.Listener(("localhost", 0), authkey=authkey) as listener:
        conn.send(listener.address)
        for _ in range(2):
            with listener.accept() as accepted:
                accepted.send(("process hears", accepted.recv(), listener.last_accepted is not None))
        conn.send("served")


def dial_sibling(address, conn):
    with connection.Client(address, authkey=b"key") as client:
        client.send("a sibling")
        conn.send(client.recv())


def burst(address, count):
    with connection.Client(address) as conn:
        for number in range(count):
            conn.send((number, b"x" * 1000))


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def here(address=None, family=None, authkey=None):
    """Processes dial a listener of this process."""
    with connection.Listener(address, family, authkey=authkey) as listener:
        process = start(talk, listener.address, authkey, family)
        with listener.accept() as conn:
            pid, greeting = conn.recv()
            print(pid == process.pid, greeting, type(conn).__name__)
            conn.send({"answer": [1, 2]})
            print(conn.recv_bytes())
        process.join()
    print("closed", process.exitcode)


def wrong_keys():
    with connection.Listener(("127.0.0.1", 0), authkey=b"right") as listener:
        process = start(talk_wrong, listener.address, b"wrong")
        try:
            listener.accept()
        except mp.AuthenticationError as error:
            print(error)
        process.join()
        address = listener.address
    # Nobody listens there any more.
    start(talk_wrong, address, b"right").join()
    try:
        listener.accept()
    except OSError as error:
        print(error)
    for family, address in (("AF_INET", "/no/such"), (None, "/no/such/socket"), ("AF_NONE", "x")):
        try:
            connection.Client(address, family)
        except Exception as error:
            print(type(error).__name__)
    try:
        connection.Listener(("localhost", 0), authkey="text")
    except TypeError as error:
        print(error)


def there():
    """A process listens; this one and a sibling dial it."""
    ours, theirs = mp.Pipe()
    process = start(listen, theirs, b"key")
    address = ours.recv()
    with connection.Client(address, authkey=b"key") as conn:
        conn.send("the parent")
        print(conn.recv())
    sibling = start(dial_sibling, address, theirs)
    print(sorted((ours.recv(), ours.recv()), key=str))
    process.join()
    sibling.join()
    print(process.exitcode, sibling.exitcode)
    try:
        connection.Client(address, authkey=b"key")
    except ConnectionRefusedError:
        print("refused")


def many():
    """Several at once, each its own connection; the messages of each in order."""
    with connection.Listener(("localhost", 0), backlog=8) as listener:
        processes = [start(burst, listener.address, 50) for _ in range(4)]
        conns = [listener.accept() for _ in processes]
        seen = {conn: [] for conn in conns}
        while conns:
            for conn in connection.wait(conns, 30):
                try:
                    number, content = conn.recv()
                    seen[conn].append(number)
                    assert len(content) == 1000
                except EOFError:
                    conn.close()
                    conns.remove(conn)
        print([numbers == list(range(50)) for numbers in seen.values()])
        for process in processes:
            process.join()


def without_processes():
    """Threads of one process, as ever."""
    with connection.Listener(authkey=b"k") as listener:
        answers = []

        def dial():
            with connection.Client(listener.address, authkey=b"k") as conn:
                conn.send("thread")
                answers.append(conn.recv())

        thread = threading.Thread(target=dial)
        thread.start()
        with listener.accept() as conn:
            print(conn.recv(), listener.last_accepted)
            conn.send("answer")
        thread.join()
        print(answers)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    without_processes()
    here(("localhost", 0))
    here(("127.0.0.1", 0), "AF_INET", b"secret")
    with tempfile.TemporaryDirectory() as folder:
        here(os.path.join(folder, "socket"), authkey=b"secret")
    here(family="AF_UNIX")
    wrong_keys()
    there()
    many()
