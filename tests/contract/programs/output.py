"""What processes print, in the order in which they print it."""

import multiprocessing as mp
import os
import subprocess
import sys


def speak(name):
    print(name, "on stdout")
    print(name, "on stderr", file=sys.stderr)
    sys.stdout.write("no newline, ")
    sys.stdout.flush()
    os.write(1, b"descriptor 1, ")
    sys.stdout.buffer.write(b"bytes that are no text: \xff\xfe\n")
    sys.stdout.flush()
    print("caf\u00e9 \u2713", flush=True)
    subprocess.run([sys.executable, "-c", "print('a program that a process started')"], check=True)
    print("flushed at the end of the process")


def speak_much(lines):
    for line in range(lines):
        print(f"line {line:06} {'.' * 80}")


def fail():
    print("before the error")
    raise RuntimeError("an error\nof two lines")


def run(target, *args):
    process = mp.Process(target=target, args=args, name=target.__name__)
    process.start()
    process.join()
    print("joined", target.__name__, process.exitcode)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    print("main, not flushed yet")
    run(speak, "first")
    run(speak, "second")
    run(speak_much, 5000)
    run(fail)
    sys.stdout.write("the end")
