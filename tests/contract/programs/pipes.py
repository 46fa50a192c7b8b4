"""Pipes: messages, ends, and the end of either."""

import multiprocessing as mp
import os
import select
import sys
from multiprocessing import connection

BIG = 5 * 2**20


def echo(conn, other):
    # A forked process has the other end too, and would never see the end.
    other.close()
    while True:
        try:
            conn.send(conn.recv())
        except EOFError:
            print("echo: end")
            return


def shout(conn, *messages):
    for message in messages:
        conn.send(message)


def die(conn):
    conn.send("last words")
    os._exit(5)


def raw(conn):
    conn.send_bytes(conn.recv_bytes(100).upper())
    buffer = bytearray(10)
    size = conn.recv_bytes_into(buffer, 2)
    conn.send((size, bytes(buffer)))
    try:
        conn.recv_bytes_into(bytearray(3))
    except mp.BufferTooShort as error:
        conn.send(error.args)
    conn.send_bytes(b"0123456789", 3, 4)


def use_passed(conn):
    passed = conn.recv()
    passed.send("through an end that came through a pipe")
    passed.close()


def take_one(conn, result):
    result.send(conn.recv())


def leave_unread(conn):
    conn.send("up")


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def messages():
    here, there = mp.Pipe()
    process = start(echo, there, here)
    there.close()
    for message in (None, "text", {"nested": [1, (2, {3})]}, b"", b"x" * BIG, ["y" * 1000] * 1000):
        here.send(message)
        assert here.recv() == message
    for number in range(200):
        here.send(number)
    print([here.recv() for _ in range(200)] == list(range(200)))
    print(here.poll(), here.poll(0.01))
    here.send("polled")
    print(here.poll(None), here.poll(), here.recv())
    here.send("selected")
    print(select.select([here], [], [], 30)[0] == [here], here.recv(), select.select([here], [], [], 0)[0])
    print(here.readable, here.writable, here.closed)
    here.close()
    print(here.closed)
    process.join()
    try:
        here.send(1)
    except OSError as error:
        print(error)


def bytes_too():
    here, there = mp.Pipe()
    process = start(raw, there)
    here.send_bytes(b"bytes")
    print(here.recv_bytes())
    here.send_bytes(b"12345")
    print(here.recv())
    here.send_bytes(b"too long")
    print(here.recv())
    print(here.recv_bytes())
    process.join()


def ends():
    reader, writer = mp.Pipe(duplex=False)
    print(reader.readable, reader.writable, writer.readable, writer.writable)
    for wrong in (lambda: reader.send(1), writer.recv):
        try:
            wrong()
        except OSError as error:
            print(error)
    process = start(die, writer)
    writer.close()
    print(reader.recv())
    for _ in range(2):
        try:
            reader.recv()
        except EOFError as error:
            print("EOFError", error, reader.poll())
    process.join()
    print(process.exitcode)

    here, there = mp.Pipe()
    process = start(leave_unread, there)
    there.close()
    print(here.recv())
    process.join()
    try:
        for _ in range(1000):
            here.send("to nobody")
            here.poll(0)
    except OSError as error:
        print(type(error).__name__)


def before_anyone_reads():
    here, there = mp.Pipe()
    for message in ("sent", "before", "the start"):
        here.send(message)
    here.close()
    result, to_result = mp.Pipe(duplex=False)
    for _ in range(3):
        # One reader of that end after another.
        start(take_one, there, to_result).join()
    print([result.recv() for _ in range(3)])
    process = start(shout, to_result, 1, 2, 3)
    to_result.close()
    process.join()
    print([result.recv() for _ in range(3)], connection.wait([result], 30) == [result])
    try:
        result.recv()
    except EOFError:
        print("EOFError after what was sent")


def passed_on():
    here, there = mp.Pipe()
    reader, writer = mp.Pipe(duplex=False)
    process = start(use_passed, there)
    here.send(writer)
    # The receiver needs the sender until it has the end.
    print(reader.recv())
    writer.close()
    process.join()
    try:
        reader.recv()
    except EOFError:
        print("EOFError")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    messages()
    bytes_too()
    ends()
    before_anyone_reads()
    passed_on()
