"""A program that does the same thing in rounds, and says what it, its worker and its store weigh after each.

    python -m transparent_mp leak_cases.py CASE COUNT

prints one line of JSON: what was there before the last round, the earlier ones having warmed everything up,
and after it; and the last round's peaks. Its store, which nobody else uses, is at TRANSPARENT_MP_REDIS_URL.
"""

from __future__ import annotations

import ctypes
import gc
import json
import multiprocessing as mp
import os
import signal
import socket
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path
from urllib.parse import urlsplit

#: Seconds that what ends by itself (a process, its connections) may take until it is gone.
SETTLE = 10.0
#: Seconds between looks at it: neither a server's list of clients nor /proc tells anybody of a change.
LOOK_EVERY = 0.05

MB = 1 << 20
#: How many more threads, links or keys than before need not be waited for.
SPARE = 2
#: Rounds before anything is compared: links, threads and caches are made when they are first needed.
WARM = 2


class Server:
    """What the store says of itself, over a connection of this program's own."""

    def __init__(self) -> None:
        place = urlsplit(os.environ["TRANSPARENT_MP_REDIS_URL"])
        self._link = socket.create_connection((place.hostname, place.port), 60)
        self._file = self._link.makefile("rb")

    def ask(self, *words: str) -> str:
        self._link.sendall(" ".join(words).encode() + b"\r\n")
        head = self._file.readline()
        if head[:1] == b"$":
            return self._file.read(int(head[1:]) + 2).decode()
        return head[1:].strip().decode()

    def close(self) -> None:
        self._file.close()
        self._link.close()

    def held(self) -> int:
        """Bytes without what its connections' buffers have grown to, which comes and goes.

        In one write, so that both answers are of one moment; the sum of the buffers in INFO is an older one.
        """
        self._link.sendall(b"INFO memory\r\nCLIENT LIST\r\n")
        memory, clients = (self._file.read(int(self._file.readline()[1:]) + 2).decode() for _ in range(2))
        (used,) = (int(line[12:]) for line in memory.splitlines() if line.startswith("used_memory:"))
        return used - sum(int(word[8:]) for word in clients.split() if word.startswith("tot-mem="))

    def info(self, section: str, name: str) -> int:
        lines = self.ask("INFO", section).splitlines()
        return next(int(line.partition(":")[2]) for line in lines if line.startswith(name + ":"))


def status(pid: int | str, name: str) -> int:
    """A figure of /proc/PID/status, in bytes where it is in kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            figure = line.split()
            return int(figure[1]) * (1024 if figure[-1] == "kB" else 1)
    raise LookupError(name)


def supervisors() -> list[int]:
    """Kernel pids of this session's workers."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                mine = status(entry.name, "PPid") == os.getpid()
            except (OSError, LookupError):
                continue
            if mine and b"transparent_mp.cli.worker" in words:
                found.append(int(entry.name))
    return sorted(found)


def weigh(server: Server) -> dict[str, int]:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    found = {
        "client_rss": status("self", "VmRSS"),
        "client_fds": len(os.listdir("/proc/self/fd")),
        "client_threads": status("self", "Threads"),
        "store_memory": server.held(),
        "store_keys": int(server.ask("DBSIZE")),
        "store_members": int(server.ask("EVAL", f'"{MEMBERS}"', "0")),
        "store_connections": len(server.ask("CLIENT", "LIST").strip().splitlines()),
        "workers": len(supervisors()),
        "worker_rss": 0,
        "worker_fds": 0,
        "worker_threads": 0,
    }
    # Of each the largest: how many there are is compared by itself.
    for pid in supervisors():
        of_it = status(pid, "VmRSS"), len(os.listdir(f"/proc/{pid}/fd")), status(pid, "Threads")
        for name, figure in zip(("worker_rss", "worker_fds", "worker_threads"), of_it):
            found[name] = max(found[name], figure)
    return found


#: Members of all sets, hashes and lists: registries must shrink as well. Not of what pops have taken lately,
#: of which a link keeps 16 elements or 64 KB.
MEMBERS = (
    "local count, sizes = 0, {set = 'SCARD', hash = 'HLEN', list = 'LLEN', zset = 'ZCARD'} "
    "for _, key in ipairs(redis.call('KEYS', '*')) do "
    "local size = sizes[redis.call('TYPE', key).ok] "
    "if string.find(key, ':taken:', 1, true) then size = nil end "
    "if size then count = count + redis.call(size, key) end end return count"
)

#: What is counted, and returns to the very number.
COUNTED = (
    "client_fds",
    "client_threads",
    "store_keys",
    "store_members",
    "store_connections",
    "worker_fds",
    "worker_threads",
)


def settled(server: Server, aim: dict[str, int] | None) -> dict[str, int]:
    """What is there once everything that ends has ended."""
    deadline = time.monotonic() + SETTLE
    before = weigh(server)
    while time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
        now = weigh(server)
        calm = all(now[name] == before[name] for name in COUNTED)
        # Who is kept for the next one is not told from who is about to end, but by the clock.
        if calm and (aim is None or all(now[name] <= aim[name] + SPARE for name in COUNTED)):
            return now
        before = now
    return before


# The cases. Each is a round; it is given how many, and what lives through all rounds.


def _echo(conn, queue, back):
    """Lives through all rounds, at the other side."""
    while True:
        what, count = conn.recv()
        if what == "end":
            return
        if what == "queue":
            for _ in range(count):
                queue.get()
        elif what == "pipe":
            for _ in range(count):
                conn.recv_bytes()
        Path("/proc/self/clear_refs").write_text("5") if what == "clear" else None
        back.put((status("self", "VmHWM"), status("self", "VmRSS")))


class Crew:
    """A process that receives."""

    def __init__(self) -> None:
        self.here, there = mp.Pipe()
        self.queue, self.back = mp.Queue(), mp.Queue()
        self.process = mp.Process(target=_echo, args=(there, self.queue, self.back), daemon=True)
        self.process.start()
        there.close()

    def end(self) -> None:
        self.here.send(("end", 0))
        self.process.join()


def queue_messages(crew, count):
    crew.here.send(("queue", count))
    for number in range(count):
        crew.queue.put(number)
    crew.back.get()


def pipe_messages(crew, count):
    crew.here.send(("pipe", count))
    for _ in range(count):
        crew.here.send_bytes(b"a message")
    crew.back.get()


def queue_large(crew, count):
    crew.here.send(("queue", 1))
    crew.queue.put(b"x" * count)
    return crew.back.get()


def pipe_large(crew, count):
    crew.here.send(("pipe", 1))
    crew.here.send_bytes(b"x" * count)
    return crew.back.get()


def kinds():
    return {
        "lock": mp.Lock,
        "rlock": mp.RLock,
        "semaphore": lambda: mp.Semaphore(3),
        "event": mp.Event,
        "condition": mp.Condition,
        "barrier": lambda: mp.Barrier(2),
        "queue": mp.Queue,
        "joinable queue": mp.JoinableQueue,
        "simple queue": mp.SimpleQueue,
        "pipe": mp.Pipe,
        "value": lambda: mp.Value("i", 1),
        "array": lambda: mp.Array("d", 100),
        "shared memory": lambda: shared_memory.SharedMemory(create=True, size=1000),
    }


def _drop(made):
    for one in made:
        if isinstance(one, shared_memory.SharedMemory):
            one.close()
            one.unlink()


def local_primitives(_crew, count):
    """So many in all, of each kind as many."""
    for make in kinds().values():
        for _ in range(count // len(kinds())):
            _drop([make()])


def _touch(made):
    for one in made:
        if hasattr(one, "put"):
            one.put(1)
        elif hasattr(one, "acquire") and hasattr(one, "release"):
            with one:
                pass


def shared_primitives(_crew, count):
    """The same, each used by a process that it was handed to."""
    for make in kinds().values():
        made = [make() for _ in range(count // len(kinds()))]
        process = mp.Process(target=_touch, args=(made,))
        process.start()
        process.join()
        assert process.exitcode == 0
        _drop(made)


def _nothing(*_args):
    pass


def processes(_crew, count):
    for _ in range(count):
        process = mp.Process(target=_nothing)
        process.start()
        process.join()


_large = b""


def processes_with_arguments(_crew, count):
    """Each with a large argument of its own, and a large global, more of them than stay in the store."""
    global _large
    for number in range(count):
        _large = bytes([number % 251]) * (16 * MB) + os.urandom(16)
        process = mp.Process(target=_use_global, args=(os.urandom(MB),))
        process.start()
        process.join()
        assert process.exitcode == 0


def _use_global(argument):
    assert len(_large) > len(argument)


def pool_tasks(_crew, count):
    with mp.Pool(2) as pool:
        assert sum(pool.imap_unordered(abs, range(count), chunksize=10)) == sum(range(count))
        pool.map(abs, range(count), chunksize=1)


def _length(data):
    return len(data)


def pool_arrays(_crew, count):
    """So many different ones of 8 MB each."""
    with mp.Pool(2) as pool:
        arrays = (os.urandom(16) + bytes(8 * MB) for _ in range(count))
        assert sum(pool.imap(_length, arrays)) == count * (8 * MB + 16)


def terminated(_crew, count):
    """Processes killed while they hold, send and wait, with a large message that nobody reads."""
    for _ in range(count):
        queue, (here, there) = mp.Queue(), mp.Pipe()
        process = mp.Process(target=_send_and_stay, args=(queue, there))
        process.start()
        here.recv()
        process.kill()
        process.join()


def _send_and_stay(queue, conn):
    inner, outer = mp.Pipe()
    queue.put(bytes(MB))
    queue.put(inner)
    queue.put([outer, bytes(MB)])
    conn.send("there")
    mp.Event().wait()


def _stay(conn):
    conn.send("here")
    mp.Event().wait()


def killed_workers(_crew, count):
    """All of them with a process each time, and then all that there may be."""
    server = Server()
    for _ in range(count):
        here, there = mp.Pipe()
        process = mp.Process(target=_stay, args=(there,))
        process.start()
        here.recv()
        for pid in supervisors():
            os.kill(pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        _none_is_known(server)
    server.close()
    every_worker()


def _none_is_known(server):
    """Return when all ends of workers are known: until then one without a process may be given the next."""
    deadline = time.monotonic() + SETTLE
    while server.ask("EVAL", "\"return #redis.call('KEYS', '*}:workers')\"", "0") != "0":
        assert time.monotonic() < deadline
        time.sleep(LOOK_EVERY)


#: Case -> its round, and whether there is a crew.
CASES = {
    case.__name__: (case, crew)
    for case, crew in (
        (queue_messages, True),
        (pipe_messages, True),
        (queue_large, True),
        (pipe_large, True),
        (local_primitives, False),
        (shared_primitives, False),
        (processes, False),
        (processes_with_arguments, False),
        (pool_tasks, False),
        (pool_arrays, False),
        (terminated, False),
        (killed_workers, False),
    )
}


def every_worker() -> None:
    """All workers there may be have come: later it would depend on the load how many are needed."""
    ends, children = [], []
    for _ in range(mp.cpu_count()):
        here, there = mp.Pipe()
        children.append(mp.Process(target=_wait, args=(there,)))
        children[-1].start()
        ends.append(here)
    for here in ends:
        here.recv()
    for here, child in zip(ends, children):
        here.send("end")
        child.join()


def _wait(conn):
    conn.send("here")
    conn.recv()


def main(name: str, count: int) -> None:
    server = Server()
    run, with_crew = CASES[name]
    crew = Crew() if with_crew else None
    every_worker()
    for _ in range(WARM):
        run(crew, count)
    first = settled(server, None)
    server.ask("CONFIG", "RESETSTAT")
    Path("/proc/self/clear_refs").write_text("5")
    if crew:
        crew.here.send(("clear", 0))
        crew.back.get()
    begun = time.monotonic()
    receiver = run(crew, count)
    seconds = time.monotonic() - begun
    peaks = {
        "sender": status("self", "VmHWM"),
        "receiver": receiver[0] if receiver else 0,
        "store": server.info("memory", "used_memory_peak"),
    }
    last = settled(server, first)
    if crew:
        crew.end()
    print(
        json.dumps(
            {"case": name, "count": count, "first": first, "last": last, "peaks": peaks, "seconds": seconds}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
