"""Bad input and trouble end in the exception that a user of plain Python expects, and never in a hang."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

Start = Callable[..., Any]

UNPICKLABLE = """
    import multiprocessing as mp, socket, sys, threading

    def idle(*args):
        pass

    def attempt(name, target, *args):
        process = mp.Process(target=target, args=args)
        try:
            process.start()
            process.join()
            print(name, process.exitcode)
        except Exception as error:
            print(name, type(error).__name__, error)

    if __name__ == "__main__":
        mp.set_start_method(sys.argv[1])
        with socket.socket() as open_socket, open(__file__) as open_file:
            attempt("lambda", lambda: None)
            attempt("generator", idle, (number for number in range(3)))
            attempt("lock", idle, [threading.Lock()])
            attempt("file", idle, {"file": open_file})
            attempt("frame", idle, sys._getframe())
            attempt("used", list, (number for number in range(3)))
        attempt("good", idle, 1)
    """


def test_what_cannot_be_pickled_under_spawn_raises_what_it_raises_in_plain_python(program: Start) -> None:
    expected = program(UNPICKLABLE, "spawn", plain=True).finish()
    ran = program(UNPICKLABLE, "spawn").finish()
    # Types agree; the words are Python's own.
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        line.split()[:2] for line in expected.out.splitlines()
    ]
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "good 0")


def test_what_cannot_be_pickled_under_fork_is_named_with_its_remedy_where_it_is_used(program: Start) -> None:
    ran = program(UNPICKLABLE, "fork").finish()
    told = dict(line.split(" ", 1) for line in ran.out.splitlines())
    unused = ("lambda", "generator", "lock", "file", "frame", "good")
    assert told == {**dict.fromkeys(unused, "0"), "used": "1"}
    error = ran.err.strip().splitlines()[-1]
    assert "LostGlobalError: an object of type 'generator' that came with the process" in error
    assert "make it inside the process" in error


DESCRIPTORS = """
    import multiprocessing as mp, socket, sys
    from multiprocessing import reduction
    from multiprocessing.connection import Connection

    def receive(end):
        try:
            end.send(("received", reduction.recv_handle(end)))
        except OSError as error:
            end.send(("refused", str(error)))

    if __name__ == "__main__":
        mp.set_start_method(sys.argv[1])
        here, there = mp.Pipe()
        process = mp.Process(target=receive, args=(there,))
        process.start()
        try:
            reduction.send_handle(here, 0, process.pid)
        except OSError as error:
            print("sender", error)
        print("receiver", *here.recv())
        process.join()
        with socket.socket() as one:
            try:
                process = mp.Process(target=print, args=(one,))
                process.start()
                process.join()
            except (OSError, TypeError) as error:
                print("argument", error)
        left, right = (Connection(end.detach()) for end in socket.socketpair())
        reduction.send_handle(left, 0, None)
        print("on this machine", reduction.recv_handle(right) > 2)
    """


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_file_descriptor_is_refused_at_both_ends(program: Start, method: str) -> None:
    ran = program(DESCRIPTORS, method).finish()
    why = "cannot travel to another machine: pass a path, the data, or a multiprocessing Connection"
    lines = ran.out.splitlines()
    assert (ran.status, lines[-1]) == (0, "on this machine True")
    assert [line.split()[0] for line in lines[:2]] == ["sender", "receiver"]
    assert all(why in line for line in lines[:2])
    if method == "spawn":
        assert (ran.err, lines[2].split()[0]) == ("", "argument")
        assert why in lines[2]
    else:
        # Where the process uses it: by value, a socket does not travel.
        assert "an open socket belongs to the machine that opened it; make it inside" in ran.err


START = """
    import multiprocessing as mp, os, sys

    def idle():
        pass

    def explain(error):
        print(type(error).__name__, isinstance(error, eval(sys.argv[1])), error, sep="|")

    if __name__ == "__main__":
        process = mp.Process(target=idle)
        try:
            process.start()
            process.join()
            print("it ran", process.exitcode)
        except Exception as error:
            explain(error)
        try:
            mp.Process(target=idle).start()
        except Exception as error:
            explain(error)
    """


def told(program: Start, expected: str, **settings: str) -> str:
    """The message of the exception of that standard type at the first start(), and at the next."""
    running = program(START, expected, **settings)
    ran = running.finish()
    first, *others = ran.out.splitlines()
    name, is_expected, message = first.split("|", 2)
    assert is_expected == "True", first
    # A second attempt ends as the first one.
    assert [line.split("|")[:2] for line in others] == [[name, "True"]]
    assert ran.status == 0, ran.err
    assert "Traceback" not in ran.err
    return str(message)


@pytest.fixture
def other_server() -> Iterator[Callable[[bytes], int]]:
    """The port of a server that greets with these words, many times, and hears nothing."""
    closing: list[Callable[[], object]] = []

    def start(words: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            held = []
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    for one in held:
                        one.close()
                    return
                held.append(link)
                link.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        closing[:0] = [lambda: listener.shutdown(socket.SHUT_RDWR), thread.join, listener.close]
        return int(listener.getsockname()[1])

    yield start
    for close in closing:
        close()


def test_a_store_that_refuses_connections(program: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    message = told(program, "ConnectionError", REDIS_URL=f"redis://:secret@127.0.0.1:{port}")
    assert f"cannot use the store at redis://127.0.0.1:{port}" in message
    assert "check TRANSPARENT_MP_REDIS_URL" in message
    assert "secret" not in message


@pytest.mark.parametrize("password", ["", ":wrong@"], ids=["none", "wrong"])
def test_a_store_that_wants_a_password(program: Start, redis: Any, password: str) -> None:
    port = redis("--requirepass", "right").port
    message = told(program, "ConnectionError", REDIS_URL=f"redis://{password}127.0.0.1:{port}")
    assert f"redis://127.0.0.1:{port}: it wants another user or password; put them into" in message
    assert "TRANSPARENT_MP_REDIS_URL" in message
    assert "wrong" not in message


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n" * 99], ids=["http", "yes"])
def test_a_port_that_speaks_no_redis(program: Start, other_server: Any, words: bytes) -> None:
    port = other_server(words)
    message = told(program, "ConnectionError", REDIS_URL=f"redis://127.0.0.1:{port}")
    assert f"redis://127.0.0.1:{port}" in message
    assert "is it a Redis server?" in message


def test_a_store_where_its_user_may_do_nothing(program: Start, redis: Any) -> None:
    server = redis()
    server.ask("ACL", "SETUSER", "guest", "on", ">pw", "~*", "+ping", "+client")
    message = told(program, "ConnectionError", REDIS_URL=f"redis://guest:pw@127.0.0.1:{server.port}")
    assert "its user may not do this; give the user the rights that docs/security.md lists" in message


def test_a_worker_command_that_does_not_exist(program: Start) -> None:
    message = told(program, "OSError", WORKER_COMMAND="/nowhere/at-all --")
    assert "check TRANSPARENT_MP_WORKER_COMMAND" in message
    assert "/nowhere/at-all" in message


def test_a_worker_command_that_ends_at_once(program: Start) -> None:
    command = f"{sys.executable} -c 'import sys; sys.exit(\"this image is broken\")'"
    message = told(program, "OSError", WORKER_COMMAND=command)
    assert "no worker could be started" in message
    assert "ended with status 1; it said: this image is broken" in message


def test_a_worker_command_that_says_nothing_sensible(program: Start) -> None:
    code = "import os, sys; [os.write(fd, bytes(range(256))) for fd in (1, 2)]; sys.stdin.read()"
    command = f"{sys.executable} -c '{code}'"
    message = told(program, "OSError", WORKER_COMMAND=command, LAUNCH_TIMEOUT="1")
    assert "no worker has checked in within 1 s" in message
    assert "TRANSPARENT_MP_WORKER_REDIS_URL" in message


def test_a_store_that_workers_cannot_reach(program: Start) -> None:
    message = told(program, "OSError", WORKER_REDIS_URL="redis://127.0.0.1:1")
    assert "cannot use the store at redis://127.0.0.1:1" in message


def test_a_worker_of_another_python_version(program: Start, tmp_path: Path) -> None:
    # An interpreter that lies about its version: a real one would need our dependencies built for it.
    lie = tmp_path / "lie.py"
    lie.write_text(
        "import runpy, sys\nsys.version_info = (3, 99, 0, 'final', 0)\n"
        "runpy.run_module('transparent_mp.cli.worker', run_name='__main__')\n"
    )
    message = told(program, "OSError", WORKER_COMMAND=f"{sys.executable} {lie}")
    here = "{}.{}".format(*sys.version_info)
    assert f"the worker runs Python 3.99 and the client Python {here}" in message
    assert "give the worker the client's version" in message


def test_a_backend_that_is_unknown(program: Start) -> None:
    ran = program(START, "ValueError", BACKEND="cloud").finish()
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "transparent_mp: TRANSPARENT_MP_BACKEND='cloud' is unknown: use one of local, lambda\n"


RAISES_IN_CHILD = {
    "a module": """
        import multiprocessing as mp, sys

        def load():
            import broken

        if __name__ == "__main__":
            mp.set_start_method(sys.argv[1])
            process = mp.Process(target=load)
            process.start()
            process.join()
            print(process.exitcode)
        """,
    "the main module": """
        import multiprocessing as mp, sys

        if __name__ == "__main__":
            mp.set_start_method(sys.argv[1])
            process = mp.Process(target=print)
            process.start()
            process.join()
            print(process.exitcode)
        elif sys.argv[1] != "fork":
            raise LookupError("raised at import")
        """,
    "a program without a guard": """
        import multiprocessing as mp, sys

        mp.set_start_method(sys.argv[1], force=True)
        process = mp.Process(target=print, args=("printed",))
        process.start()
        process.join()
        print(process.exitcode)
        """,
}


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("what", RAISES_IN_CHILD)
def test_a_program_that_raises_at_import(program: Start, what: str, method: str) -> None:
    files = {"broken.py": "raise LookupError('raised at import')"}
    expected = program(RAISES_IN_CHILD[what], method, plain=True, files=files).finish()
    ran = program(RAISES_IN_CHILD[what], method, files=files).finish()
    assert (ran.out, ran.status) == (expected.out, expected.status)
    assert ran.err.splitlines()[-1:] == expected.err.splitlines()[-1:]


STORE_DIES = """
    import multiprocessing as mp, sys, threading
    from concurrent.futures import ProcessPoolExecutor

    def hold(lock, conn):
        with lock:
            conn.send("held")
            conn.recv()

    def hang(conn):
        conn.send("up")
        conn.recv()

    def attempt(name, wait):
        try:
            result = wait()
        except BaseException as error:
            result = f"{type(error).__name__} {isinstance(error, ConnectionError)} {error}"
        print(name, result, sep="|")

    def started(target, *args):
        process = mp.Process(target=target, args=args)
        process.start()
        return process

    def begin(waiting):
        if waiting == "recv":
            started(hang, there)
            return here.recv
        if waiting == "lock":
            lock = mp.Lock()
            started(hold, lock, there)
            return lock.acquire
        if waiting == "join":
            process = started(hang, there)
            return lambda: (process.join(), process.exitcode)
        if waiting == "queue":
            queue = mp.Queue()
            started(hang, there)
            started(queue.put, "up").join()
            queue.get()
            return queue.get
        if waiting in ("pool", "map"):
            pool = mp.Pool(1)
            if waiting == "map":
                return pool.map_async(hang, [there, there, there], chunksize=1).get
            return pool.apply_async(hang, (there,)).get
        return ProcessPoolExecutor(1).submit(hang, there).result

    if __name__ == "__main__":
        here, there = mp.Pipe()
        thread = threading.Thread(target=attempt, args=(sys.argv[1], begin(sys.argv[1])))
        print(here.recv())
        thread.start()
        thread.join()
    """


@pytest.mark.parametrize("waiting", ["recv", "lock", "join", "queue", "executor", "pool", "map"])
def test_the_store_dies_in_the_middle(
    program: Start, redis: Any, survivors: Callable[..., Any], waiting: str
) -> None:
    server = redis()
    running = program(STORE_DIES, waiting, REDIS_URL=server.address, LEASE="3")
    running.hear()
    server.kill()
    _name, result = running.hear().split("|")
    if waiting == "join":
        assert result == "(None, -9)"
    elif waiting == "executor":
        assert "BrokenProcessPool" in result
    else:
        assert " True " in result
        assert server.address in result
    ran = running.finish()
    assert server.address in ran.err + result
    assert survivors(running.mark, 10.0) == {}
