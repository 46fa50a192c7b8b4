"""Processes that send a number and end with a code of their own."""

import sys

import seen


def work(number, out):
    out.send(number * number)
    sys.exit(number)


def body(context):
    found = []
    for _ in range(2):
        started = []
        for number in range(3):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=work, args=(number, there))
            process.start()
            there.close()
            started.append((process, here))
        for process, here in started:
            try:
                value = here.recv()
            except EOFError:
                value = None
            process.join()
            found.append([value, process.exitcode])
            here.close()
            process.close()
    return found


if __name__ == "__main__":
    seen.told(body)
