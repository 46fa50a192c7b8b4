"""What a program has registered, set or put in place before it forks."""

import asyncio
import builtins
import contextvars
import copyreg
import csv
import decimal
import gettext
import importlib
import importlib.util
import json
import logging
import mimetypes
import multiprocessing as mp
import os
import resource
import signal
import sys
import tempfile
import threading
from multiprocessing.reduction import ForkingPickler

import changing

LEVEL = contextvars.ContextVar("level", default="default")
UNSET = contextvars.ContextVar("unset")
LOCAL = threading.local()


class Key:
    """Cannot be pickled by itself."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        raise TypeError("not by itself")


class Other(Key):
    pass


def reduce_key(key):
    return type(key), (key.number + 1,)


class Bars(csv.excel):
    delimiter = "|"


class Named(logging.Logger):
    pass


class Finder:
    """Of modules that are in no file."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.VALUE = self.value


def made_up(name):
    sys.modules.pop(name, None)
    try:
        return importlib.import_module(name).VALUE
    except ModuleNotFoundError as error:
        return str(error)


class Policy(asyncio.DefaultEventLoopPolicy):
    pass


class Record(logging.LogRecord):
    pass


def hook(*args):
    print("hook", threading.current_thread() is threading.main_thread(), flush=True)


def fail():
    raise ValueError("in a thread")


def look():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    return {
        "limits": [
            resource.getrlimit(number)[0]
            for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_CPU)
        ],
        "niceness": os.nice(0),
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "hooks": [one is hook for one in (sys.excepthook, sys.displayhook, sys.unraisablehook)],
        "builtins": (_("text"), MARK),  # noqa: F821
        "variables": (LEVEL.get(), UNSET.get("none"), changing.VARIABLE.get(), changing.variable()),
        "local": LOCAL.value,
        "csv": (csv.field_size_limit(), csv.get_dialect("bars").delimiter, csv.list_dialects()),
        "logging": (
            logging.raiseExceptions,
            logging.getLoggerClass().__name__,
            logging.getLogRecordFactory().__name__,
            type(logging.getLogger("new")).__name__,
            logging._warnings_showwarning is not None,
        ),
        "types of files": (mimetypes.guess_type("a.made"), mimetypes.guess_extension("made/up")),
        "finders": [made_up(name) for name in ("made_up_first", "made_up_last", "changing_too")],
        "loops": type(asyncio.get_event_loop_policy()).__name__,
        "decimal": (decimal.getcontext().traps[decimal.Inexact], decimal.DefaultContext.prec),
        "temporary": tempfile.gettempdir() == os.getcwd(),
        "environment": (os.environ.get("NEW"), os.environ.get("GONE")),
        "keys": (Key(1), Other(1)),
    }


def child(queue):
    queue.put(look())


if __name__ == "__main__":
    for number in range(2):
        # The second time a worker is there that knows of the first.
        resource.setrlimit(resource.RLIMIT_NOFILE, (300 + number, 400))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (1000 + number, 2000))
        os.nice(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, [(signal.SIGUSR1, signal.SIGUSR2)[number]])
        sys.excepthook = sys.displayhook = sys.unraisablehook = threading.excepthook = hook
        gettext.install("nowhere")
        builtins.MARK = number
        LEVEL.set(number)
        changing.VARIABLE.set(number)
        LOCAL.value = number
        csv.field_size_limit(1000 + number)
        csv.register_dialect("bars", Bars)
        copyreg.pickle(Key, reduce_key)
        ForkingPickler.register(Other, reduce_key)
        logging.raiseExceptions = False
        logging.setLoggerClass(Named)
        logging.setLogRecordFactory(Record)
        logging.captureWarnings(True)
        asyncio.set_event_loop_policy(Policy())
        decimal.getcontext().traps[decimal.Inexact] = True
        decimal.DefaultContext.prec = 9 + number
        tempfile.tempdir = os.getcwd()
        os.environ["NEW"] = os.environ["GONE"] = str(number)
        if number:
            del os.environ["GONE"]
        # What our own code needs, too, is the program's to replace.
        json.dumps = json.loads = None
        mimetypes.add_type("made/up", (".made", ".made2")[number])
        sys.meta_path.insert(0, Finder("made_up_first", number))
        sys.meta_path.append(Finder("made_up_last", number + 10))
        queue = mp.SimpleQueue()
        process = mp.get_context(sys.argv[1]).Process(target=child, args=(queue,))
        process.start()
        for name, value in queue.get().items():
            print(name, [key.number for key in value] if name == "keys" else value)
        process.join()
        print(process.exitcode, flush=True)
