"""Questions and answers over a pipe, small and large, waited for in two ways."""

from multiprocessing import connection

import seen


def echo(conn):
    while (message := conn.recv()) is not None:
        conn.send(message)


def body(context):
    here, there = context.Pipe()
    process = context.Process(target=echo, args=(there,))
    process.start()
    there.close()
    answers = 0
    try:
        for number in range(30):
            message = (number, b"x" * (600_000 if number == 15 else number))
            here.send(message)
            if number % 3 == 0:
                connection.wait([here])
            if here.recv() != message:
                return "another answer"
            answers += 1
        here.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        if type(error) not in (EOFError, BrokenPipeError, ConnectionResetError):
            raise
    process.join()
    return [answers, process.exitcode]


if __name__ == "__main__":
    seen.told(body)
