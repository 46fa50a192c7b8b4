"""What a forked process inherits beside its program's memory: settings of the interpreter and of libraries.

Each row of the table is captured at `start()` and set in the process once `__main__` is there. A value
that cannot be pickled, or not be set over there, is left at what the process has: none of them is worth a
process that does not start.

It does not hold what every process has whichever way it starts; `worker.surroundings` does.
"""

from __future__ import annotations

import gc
import io
import logging
import pickle
import signal
import sys
import threading
import warnings
from typing import Any, Callable, NamedTuple

from transparent_mp.primitives.following import follow
from transparent_mp.primitives.reduction import ForkPickler

log = logging.getLogger("transparent_mp")

_PACKAGE = __name__.partition(".")[0]
#: What `get` answers when there is nothing to send.
_NOTHING = object()


class _Row(NamedTuple):
    name: str
    get: Callable[[], Any]
    set: Callable[[Any], Any]


class Settings(NamedTuple):
    """Captured: pickles by row, and what they need of `__main__` (see `ForkPickler`)."""

    values: dict[str, bytes]
    names: set[str]
    mentioned: set[str]


def capture() -> Settings:
    """The settings of this process."""
    found = Settings({}, set(), set())
    for row in _TABLE:
        value = row.get()
        if value is _NOTHING:
            continue
        buffer = io.BytesIO()
        pickler = ForkPickler(buffer)
        try:
            pickler.dump(value)
        except Exception as error:  # noqa: BLE001 - see the module's head
            log.debug("%s of this process cannot be sent: %s", row.name, error)
            continue
        found.values[row.name] = buffer.getvalue()
        found.names.update(pickler.names)
        found.mentioned.update(pickler.mentioned)
    return found


def apply(values: dict[str, bytes]) -> None:
    """Make them this process's own."""
    for row in _TABLE:
        if row.name not in values:
            continue
        try:
            row.set(pickle.loads(values[row.name]))
        except Exception as error:  # noqa: BLE001 - see the module's head
            log.debug("%s of the client cannot be had here: %s", row.name, error)


def _of(module: str, get: Callable[[Any], Any]) -> Callable[[], Any]:
    """A setting of a module that the program need not have imported."""

    def of() -> Any:
        loaded = sys.modules.get(module)
        return _NOTHING if loaded is None else get(loaded)

    return of


def _gc() -> tuple[bool, Any]:
    return gc.isenabled(), gc.get_threshold()


def _set_gc(state: tuple[bool, Any]) -> None:
    gc.set_threshold(*state[1])
    if state[0]:
        gc.enable()
    else:
        gc.disable()


def _stack_size() -> int:
    # To ask is to set it to its default.
    size = threading.stack_size()
    if size:
        threading.stack_size(size)
    return size


def _set_timeout(seconds: float | None) -> None:
    import socket

    socket.setdefaulttimeout(seconds)


def _set_decimal(context: Any) -> None:
    import decimal

    decimal.setcontext(context)


def _set_locale(name: str) -> None:
    import locale

    if locale.setlocale(locale.LC_ALL) != name:
        locale.setlocale(locale.LC_ALL, name)


def _filters() -> tuple[Any, ...]:
    module: Any = warnings
    return list(warnings.filters), module._defaultaction, dict(module.onceregistry)


def _set_filters(state: tuple[Any, ...]) -> None:
    module: Any = warnings
    warnings.filters[:], module._defaultaction = state[:2]  # type: ignore[index]
    module.onceregistry.update(state[2])
    # What each module has shown already was decided by the filters as they were.
    module._filters_mutated()


#: What an interpreter begins with, beside SIG_DFL.
_HANDLED = {signal.SIGINT: signal.default_int_handler, signal.SIGPIPE: signal.SIG_IGN}


def _handlers() -> dict[int, Any]:
    found = {}
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        usual = _HANDLED.get(number, signal.SIG_DFL)
        ours = str(getattr(handler, "__module__", "")).startswith(_PACKAGE)
        if handler is not None and handler != usual and not ours and number != getattr(signal, "SIGXFSZ", 0):
            found[int(number)] = handler
    return found


def _set_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _stream(name: str) -> Callable[[], Any]:
    def stream() -> Any:
        current = getattr(sys, name)
        return _NOTHING if current is getattr(sys, f"__{name}__") else current

    return stream


def _logging() -> Any:
    known = logging.root.manager.loggerDict.items()
    loggers = {"": logging.root, **{name: one for name, one in known if isinstance(one, logging.Logger)}}
    return {
        "levels": dict(logging._levelToName),
        "disable": logging.root.manager.disable,
        "loggers": {
            name: {
                key: getattr(one, key) for key in ("level", "handlers", "filters", "propagate", "disabled")
            }
            for name, one in list(loggers.items())
            if name.partition(".")[0] not in (_PACKAGE, "multiprocessing") and _is_set(one)
        },
    }


def _is_set(one: logging.Logger) -> bool:
    usual = logging.WARNING if one is logging.root else logging.NOTSET
    return bool(one.handlers or one.filters or one.level != usual or one.disabled or not one.propagate)


def _set_logging(state: Any) -> None:
    for level, name in state["levels"].items():
        logging.addLevelName(level, name)
    for name, attributes in state["loggers"].items():
        one = logging.getLogger(name or None)
        one.setLevel(attributes.pop("level"))
        vars(one).update(attributes)
    logging.disable(state["disable"])


def _numpy(numpy: Any) -> Any:
    random: Any = sys.modules.get("numpy.random")
    state = random.get_state() if hasattr(random, "get_state") else None
    return {"random": state, "print": numpy.get_printoptions(), "errors": numpy.geterr()}


def _set_numpy(state: Any) -> None:
    def shown(numpy: Any) -> None:
        numpy.set_printoptions(**state["print"])
        numpy.seterr(**state["errors"])

    def drawn(random: Any) -> None:
        if state["random"] is not None:
            random.set_state(state["random"])

    # The process may never need it, and its import takes longer than all else.
    for name, then in (("numpy", shown), ("numpy.random", drawn)):
        if name in sys.modules:
            then(sys.modules[name])
        else:
            follow(name, then)


def _arguments() -> Any:
    return getattr(sys, "orig_argv", _NOTHING)


def _digits() -> Any:
    return sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else _NOTHING


def _set_digits(count: int) -> None:
    sys.set_int_max_str_digits(count)


#: In the order in which they are set: what others may need comes first.
_TABLE = (
    _Row("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Row("switch interval", sys.getswitchinterval, sys.setswitchinterval),
    _Row("garbage collection", _gc, _set_gc),
    _Row("stack size of threads", _stack_size, threading.stack_size),
    _Row("digits of an int", _digits, _set_digits),
    _Row("bytecode", lambda: sys.dont_write_bytecode, lambda flag: setattr(sys, "dont_write_bytecode", flag)),
    _Row("arguments of the interpreter", _arguments, lambda words: setattr(sys, "orig_argv", words)),
    _Row("time-out of sockets", _of("socket", lambda module: module.getdefaulttimeout()), _set_timeout),
    _Row("decimal context", _of("decimal", lambda module: module.getcontext()), _set_decimal),
    _Row("locale", _of("locale", lambda module: module.setlocale(module.LC_ALL)), _set_locale),
    _Row("numpy", _of("numpy", _numpy), _set_numpy),
    _Row("stdout", _stream("stdout"), lambda stream: setattr(sys, "stdout", stream)),
    _Row("stderr", _stream("stderr"), lambda stream: setattr(sys, "stderr", stream)),
    _Row("warnings", _filters, _set_filters),
    _Row("logging", _logging, _set_logging),
    _Row("signals", _handlers, _set_handlers),
)
