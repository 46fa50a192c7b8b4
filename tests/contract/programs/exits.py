"""Exit codes: what a process leaves behind, however it ends."""

import multiprocessing as mp
import os
import signal
import sys


def come_back():
    return 7


def leave(status):
    sys.exit(status)


def fail():
    raise ValueError("wrong")


def drop_out(status):
    print("lost: never flushed", end="")
    os._exit(status)


def signal_itself(number):
    os.kill(os.getpid(), number)


def wait(conn):
    conn.send("up")
    conn.recv()


def wait_deaf(conn):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(conn)


def wait_with_handler(conn):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
    wait(conn)


def wait_interrupted(conn):
    try:
        wait(conn)
    except KeyboardInterrupt:
        sys.exit(43)


def ended(target, *args):
    process = mp.Process(target=target, args=args)
    assert process.exitcode is None
    process.start()
    process.join()
    assert not process.is_alive()
    return process.exitcode


def ended_by(end, target=wait):
    here, there = mp.Pipe()
    process = mp.Process(target=target, args=(there,))
    process.start()
    assert here.recv() == "up"
    end(process)
    process.join()
    return process.exitcode


def main():
    print("returns", ended(come_back))
    for status in (None, 0, 3, 255, True, "said on stderr"):
        print("sys.exit", status, ended(leave, status))
    print("raises", ended(fail))
    print("os._exit", ended(drop_out, 9))
    print("SIGSEGV", ended(signal_itself, signal.SIGSEGV))
    print("SIGUSR1", ended(signal_itself, signal.SIGUSR1))
    print("terminate", ended_by(mp.Process.terminate))
    print("kill", ended_by(mp.Process.kill))
    print("kill a deaf one", ended_by(mp.Process.kill, wait_deaf))
    print("terminate with a handler", ended_by(mp.Process.terminate, wait_with_handler))
    print("os.kill", ended_by(lambda process: os.kill(process.pid, signal.SIGHUP)))
    print("interrupt", ended_by(lambda process: os.kill(process.pid, signal.SIGINT), wait_interrupted))
    process = mp.Process(target=come_back)
    process.start()
    process.join()
    process.terminate()
    process.kill()
    print("too late to signal", process.exitcode)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    main()
