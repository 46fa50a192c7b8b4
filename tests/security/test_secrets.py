"""Where a password or a session's secret could be seen: process lists, the store, logs, tracebacks."""

from __future__ import annotations

import hashlib
from typing import Any, Callable

import pytest

PASSWORD = "hush-hush-4711"

APP = """
    import hashlib, multiprocessing, os, sys, traceback

    def child(queue, lock, number):
        if number == 1:
            local = lock, queue
            try:
                raise ValueError("on purpose")
            except ValueError as error:
                stack = traceback.StackSummary.extract(
                    traceback.walk_stack(sys._getframe()), capture_locals=True, lookup_lines=False
                )
                print("".join(stack.format()), file=sys.stderr)
                raise
        from transparent_mp.primitives import session as sessions
        session = sessions.current()
        print(repr([session, vars(session)]), file=sys.stderr)
        # What a program itself puts into a queue is in the store, so not the address.
        queue.put(hashlib.sha256(os.environ["TRANSPARENT_MP_REDIS_URL"].encode()).hexdigest())

    if __name__ == "__main__":
        queue, lock = multiprocessing.Queue(), multiprocessing.Lock()
        with multiprocessing.Manager() as manager, multiprocessing.Pool(2) as pool:
            shared = manager.list([1])
            for number in (0, 1):
                process = multiprocessing.Process(target=child, args=(queue, lock, number))
                process.start()
                process.join()
            print(queue.get())
            pool.map(len, [[1]] * 4)
            from transparent_mp.primitives import session as sessions
            print(sessions.current().secret.hex())
            from transparent_mp.config import Config
            print(repr([Config.from_environ(), sessions.current(), vars(sessions.current()), process, pool]),
                  file=sys.stderr)
            input()
"""


@pytest.fixture
def scene(program: Callable[..., Any], redis: Callable[..., Any], reading: Callable[..., Any]) -> Any:
    server = redis("--requirepass", PASSWORD)
    reader = reading(server, f":{PASSWORD}@")
    running = program(APP, REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0", LOG="debug")
    running.url = running.hear()
    running.secret = running.hear()
    return running, server, reader


def test_a_process_is_told_the_address_and_nothing_else_shows_it(scene: Any) -> None:
    running, server, reader = scene
    # A program in it that is a client itself finds the same store.
    address = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
    assert running.url == hashlib.sha256(address.encode()).hexdigest()
    hidden = {PASSWORD.encode(), running.secret.encode(), bytes.fromhex(running.secret)}

    processes = running.processes()
    assert len(processes) >= 4, "client, manager's server, keeper and worker with its processes"
    for pid, (command, environ) in processes.items():
        assert not any(each in command for each in hidden)
        # What the user has put into the program's own environment is there, and a fork of it has the same.
        if b"app.py" not in command:
            assert not any(each in environ for each in hidden), (pid, command)
    assert sum(b"app.py" not in command for command, _ in processes.values()) >= 2

    running.say("done")
    out, err, status = running.finish()
    assert (out, status) == ("", 0)
    assert "on purpose" in err
    assert "<Session" in err
    for text in (PASSWORD, running.secret, repr(bytes.fromhex(running.secret))[2:-1]):
        assert text not in err

    written = reader.everything()
    assert len(written) > 10_000
    for each in (*hidden, repr(bytes.fromhex(running.secret))[2:-1].encode()):
        assert each not in written


def test_an_error_that_names_the_store_does_not_show_the_password(
    program: Callable[..., Any], redis: Callable[..., Any]
) -> None:
    server = redis("--requirepass", "another")
    running = program(APP, REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0", LOG="debug")
    out, err, status = running.finish()
    assert status == 1
    assert (
        f"cannot use the store at redis://127.0.0.1:{server.port}/0: it wants another user or password" in err
    )
    assert PASSWORD not in out + err
