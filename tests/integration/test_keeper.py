"""A program whose keeper is killed, and one whose lease is over."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable

LIMIT = 60.0
#: Seconds between looks at what tells nobody when it changes.
LOOK_EVERY = 0.02

PROGRAM = """
    import multiprocessing as mp, sys

    def echo(conn):
        while (message := conn.recv()) is not None:
            if message != "nothing":
                conn.send(message)

    if __name__ == "__main__":
        here, there = mp.Pipe()
        process = mp.Process(target=echo, args=(there,))
        process.start()
        try:
            for line in sys.stdin:
                here.send(line.strip())
                print(here.recv())
            here.send(None)
        except ConnectionError as error:
            print(type(error).__name__)
        process.join()
        print(process.exitcode)
    """


def test_a_keeper_that_was_killed_is_replaced(program: Callable[..., Any], redis: Any) -> None:
    server = redis()
    running = program(PROGRAM, REDIS_URL=server.address, WORKERS="1", LEASE="3")
    running.say("begins")
    assert running.hear() == "begins"
    (keeper,) = running.find("store.keeper")
    os.kill(keeper, signal.SIGKILL)
    deadline = time.monotonic() + LIMIT
    while keeper in (now := running.find("store.keeper")) or not now:
        assert time.monotonic() < deadline
        time.sleep(LOOK_EVERY)
    running.say("goes on")
    assert running.hear() == "goes on"
    ran = running.finish()
    assert (ran.out, ran.err, ran.status) == ("0\n", "", 0)
    assert server.empty_within(LIMIT)


def test_whoever_waits_when_the_lease_is_over_is_told(program: Callable[..., Any], redis: Any) -> None:
    server = redis()
    running = program(PROGRAM, REDIS_URL=server.address, WORKERS="1", LEASE="3")
    running.say("begins")
    assert running.hear() == "begins"
    running.say("nothing")
    # Its connections stay, so nothing else tells.
    (alive,) = [key for key in server.ask("KEYS", "*}:alive").split() if key.startswith(b"tmp:")]
    server.ask("DEL", alive.decode())
    assert running.hear(LIMIT) == "SessionLostError"
    assert running.hear(LIMIT) == "-9"
    assert "its lease was not renewed in time" in running.finish(LIMIT).err
