"""What a process is set to: as its parent was at `start()` under fork, as a fresh interpreter under spawn."""

import decimal
import gc
import io
import locale
import logging
import multiprocessing as mp
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings

import numpy as np

METHOD = sys.argv[1]
TOLD = []


class Tee:
    def __init__(self, stream, mark):
        self.stream, self.mark = stream, mark

    def write(self, text):
        self.stream.write(text.replace("said", self.mark))

    def flush(self):
        self.stream.flush()


class Strange(UserWarning):
    pass


def on_usr2(number, frame):
    TOLD.append(number)


class Kept(logging.Handler):
    def emit(self, record):
        TOLD.append(record.getMessage())


log = logging.getLogger("program.part")


def look():
    mask = os.umask(0)
    os.umask(mask)
    try:
        warnings.warn("strange", Strange, stacklevel=1)
        warned = "passed"
    except Strange as error:
        warned = repr(error)
    log.debug("told")
    if signal.getsignal(signal.SIGUSR2) is on_usr2:
        signal.raise_signal(signal.SIGUSR2)
    try:
        typed = input()
    except EOFError as error:
        typed = repr(error)
    print("said by", mp.current_process().name, flush=True)
    return {
        "umask": oct(mask),
        "random": random.random() == random.Random(7).random(),
        "numpy": float(np.random.random()) if METHOD == "fork" else "",
        "print": repr(np.array([1 / 3])),
        "divided": np.geterr()["divide"],
        "warned": warned,
        "filters": [(one[0], one[2].__name__) for one in warnings.filters][:3],
        "root": (logging.getLogger().level, [type(one).__name__ for one in logging.getLogger().handlers]),
        "log": (
            log.level,
            log.propagate,
            [type(one).__name__ for one in log.handlers],
            logging.getLevelName(5),
        ),
        "told": TOLD,
        "recursion": sys.getrecursionlimit(),
        "precision": decimal.getcontext().prec,
        "locale": locale.setlocale(locale.LC_ALL),
        "stack": threading.stack_size(),
        "usr1": signal.getsignal(signal.SIGUSR1),
        "int": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "switch": sys.getswitchinterval(),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "timeout": socket.getdefaulttimeout(),
        "stdin": (sys.stdin.read(), typed),
        "flags": (sys.flags.optimize, sys.flags.bytes_warning, sys.flags.hash_randomization, __debug__),
        "options": sys.warnoptions,
        "hash": hash("abc") == HASH,
        "streams": (sys.__stdout__.encoding, sys.__stdout__.errors, sys.__stderr__.errors),
        "path": sys.path[0],
        "argv": sys.argv,
        "directory": os.path.basename(os.getcwd()),
        "threads": (threading.current_thread().name, threading.active_count()),
        "zone": time.tzname,
    }


HASH = hash("abc")


def child(queue):
    queue.put(look())


if __name__ == "__main__":
    os.umask(0o027)
    random.seed(7)
    np.random.seed(7)
    np.set_printoptions(precision=2)
    np.seterr(divide="ignore")
    warnings.filterwarnings("error", category=Strange)
    logging.basicConfig(level=logging.INFO, stream=io.StringIO())
    logging.addLevelName(5, "TRACE")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(Kept())
    sys.setrecursionlimit(1234)
    decimal.getcontext().prec = 11
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    threading.stack_size(1 << 20)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, on_usr2)
    sys.setswitchinterval(0.01)
    gc.set_threshold(500, 7, 3)
    gc.disable()
    socket.setdefaulttimeout(3.5)
    sys.path.insert(0, "/nowhere/added")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    os.chdir("stock")
    sys.stdout = Tee(sys.stdout, "heard")
    context = mp.get_context(METHOD)
    queue = context.SimpleQueue()
    for _ in range(2):
        process = context.Process(target=child, args=(queue,))
        process.start()
        found = queue.get()
        process.join()
        for name, value in found.items():
            print(name, value)
        sys.stdout.flush()
    print(threading.stack_size())
