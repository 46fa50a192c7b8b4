from __future__ import annotations

import os
import select
import signal

from transparent_mp.worker.running import Running


def test_each_side_takes_its_own_ends() -> None:
    before = len(os.listdir("/proc/self/fd"))
    running = Running({"pid": 5})
    child = os.fork()
    if child == 0:
        out, err, parent = running.child_side()
        os.write(out, b"out")
        os.write(err, b"err")
        select.select([parent], [], [])
        os._exit(3)
    running.parent_side(child)
    told = {}
    while len(told) < 2:
        for fd in select.select(list(running.outputs), [], [])[0]:
            told[running.outputs[fd]] = running.read(fd)
    assert told == {1: b"out", 2: b"err"}
    assert [running.read(fd) for fd in running.outputs] == [None, None]
    running.orphan()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert [running.read(fd) for fd in running.outputs] == [b"", b""]
    # It has ended: a signal that comes too late is no error.
    running.signal(signal.SIGTERM)
    running.close()
    running.close()
    assert len(os.listdir("/proc/self/fd")) == before
