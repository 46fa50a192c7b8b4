"""What a forked process inherits beside its program's memory: settings of the interpreter and of libraries.

Each row of the table is captured at `start()` and set in the process once `__main__` is there. A value
that cannot be had, pickled or set over there is left at what the process has: none of them is worth a
process that does not start.

It does not hold what every process has whichever way it starts; `worker.surroundings` does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import functools
import gc
import io
import logging
import marshal
import pickle
import signal
import sys
import threading
import warnings
from typing import Any, Callable, NamedTuple

from transparent_mp.primitives import limits, registered
from transparent_mp.primitives.following import follow
from transparent_mp.primitives.options import LIBRARIES, numpy_state, set_numpy, set_when_there
from transparent_mp.primitives.reduction import ForkPickler

log = logging.getLogger("transparent_mp")

_PACKAGE = __name__.partition(".")[0]
#: What `get` answers when there is nothing to send.
_NOTHING = object()


class _Row(NamedTuple):
    name: str
    get: Callable[[], Any]
    set: Callable[[Any], Any]
    #: Whether it may hold anything of the program's, which takes more than a pickle.
    any_object: bool = False
    #: Whether who is copied goes on as it was, and each copy sets it for itself, if it is not so already.
    own: bool = False


Own = tuple[_Row, Any]


class Settings(NamedTuple):
    """Captured: pickles by row, those of plain values together under "", and what they need of `__main__`."""

    values: dict[str, bytes]
    names: set[str]
    mentioned: set[str]


def capture() -> Settings:
    """The settings of this process."""
    found = Settings({}, set(), set())
    plain = {}
    for row in _TABLE:
        try:
            value = row.get()
        except Exception as error:  # noqa: BLE001 - see the module's head
            log.debug("%s of this process cannot be had: %s", row.name, error)
            continue
        if value is _NOTHING:
            continue
        if not row.any_object:
            plain[row.name] = value
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
    found.values[""] = pickle.dumps(plain, 5)
    return found


def ignored_signals() -> list[int]:
    """Numbers of those that a process ignores whichever way it starts."""
    return [int(each) for each in _signal.valid_signals() if _signal.getsignal(each) == _signal.SIG_IGN]


def apply(values: dict[str, bytes]) -> None:
    """Make them this process's own."""
    apply_own(apply_common(values))


def apply_common(values: dict[str, bytes]) -> list[Own]:
    """Set what copies of this process inherit; returns what `apply_own` sets in each of them.

    The program's objects are not set: they may have a part in the session, or be open files.
    """
    plain = pickle.loads(values[""])
    rest: list[Own] = []
    for row in _TABLE:
        given = values if row.any_object else plain
        if row.name in given and (row.any_object or (row.own and row.get() != given[row.name])):
            rest.append((row, given[row.name]))
        elif row.name in given and not row.own:
            _set(row, given[row.name])
    return rest


def apply_own(rest: list[Own]) -> None:
    """Set what is each process's own."""
    for row, value in rest:
        _set(row, value)


def _set(row: _Row, value: Any) -> None:
    try:
        row.set(pickle.loads(value) if row.any_object else value)
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


def _decimal(decimal: Any) -> Any:
    return decimal.getcontext(), decimal.DefaultContext


def _set_decimal(contexts: Any) -> None:
    import decimal

    current, default = contexts
    decimal.setcontext(current)
    for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp"):
        setattr(decimal.DefaultContext, name, getattr(default, name))
    decimal.DefaultContext.traps.update(default.traps)


def _set_locale(name: str) -> None:
    import locale

    if locale.setlocale(locale.LC_ALL) != name:
        locale.setlocale(locale.LC_ALL, name)


def _filters() -> tuple[Any, ...]:
    module: Any = warnings
    filters: Any = warnings.filters
    # A category by name: to unpickle it would import its module, which a process may never need.
    named = [
        (action, text, (category.__module__, category.__qualname__), where, line)
        for action, text, category, where, line in filters
    ]
    return named, module._defaultaction, dict(module.onceregistry)


def _set_filters(state: tuple[Any, ...]) -> None:
    module: Any = warnings
    here = []
    for one in state[0]:
        home = one[2][0]
        if home in sys.modules:
            here.append(_filter(one))
        else:
            follow(home, functools.partial(_add_filter, one))
    module.filters[:], module._defaultaction = here, state[1]
    module.onceregistry.update(state[2])
    # What each module has shown already was decided by the filters as they were.
    module._filters_mutated()


def _filter(one: tuple[Any, ...]) -> Any:
    category: Any = sys.modules[one[2][0]]
    for part in one[2][1].split("."):
        category = getattr(category, part)
    return (*one[:2], category, *one[3:])


def _add_filter(one: tuple[Any, ...], _module: Any) -> None:
    module: Any = warnings
    try:
        found = _filter(one)
    except AttributeError:
        # A class that the program put there; its own import lacks it.
        return
    if found not in module.filters:
        module.filters.insert(0, found)
        module._filters_mutated()


#: What an interpreter begins with, beside SIG_DFL.
_HANDLED = {signal.SIGINT: signal.default_int_handler, signal.SIGPIPE: signal.SIG_IGN}
_HANDLED.update({number: signal.SIG_IGN for number in [getattr(signal, "SIGXFSZ", None)] if number})


def _handlers() -> Any:
    found = {}
    # Not the module's own functions, whose enumerations cost more than all else here.
    for number in _signal.valid_signals():
        handler = _signal.getsignal(number)
        if handler is None or handler == _HANDLED.get(number, _signal.SIG_DFL):
            continue
        if not str(getattr(handler, "__module__", "")).startswith(_PACKAGE):
            found[int(number)] = handler
    return found or _NOTHING


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
    changed = {
        name: {key: getattr(one, key) for key in ("level", "handlers", "filters", "propagate", "disabled")}
        for name, one in list(loggers.items())
        if name.partition(".")[0] not in (_PACKAGE, "multiprocessing") and _is_set(one)
    }
    disabled = logging.root.manager.disable
    if not changed and not disabled and len(logging._levelToName) == _LEVELS:
        return _NOTHING
    return {"levels": dict(logging._levelToName), "disable": disabled, "loggers": changed}


#: Names that logging begins with.
_LEVELS = 6


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


def _policy(asyncio: Any) -> Any:
    current = asyncio.events._event_loop_policy
    return _NOTHING if current is None or type(current) is asyncio.DefaultEventLoopPolicy else type(current)


def _set_policy(kind: Any) -> None:
    import asyncio

    asyncio.set_event_loop_policy(kind())


def _unless_empty(get: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *module: get(*module) or _NOTHING


def _reducers() -> Any:
    found = registered.reducers()
    return found if any(found) else _NOTHING


def _arguments() -> Any:
    return getattr(sys, "orig_argv", _NOTHING)


#: Strings of which an interpreter has one each, and which compiled code does not intern by itself.
_CHARACTERS = tuple(chr(number) for number in range(128) if not chr(number).isidentifier())


def _characters() -> Any:
    # Whether they are interned decides of the bytes of what is compiled; marshal notes and restores it.
    return marshal.dumps(_CHARACTERS)


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
    _Row("interned characters", _characters, marshal.loads),
    _Row("digits of an int", _digits, _set_digits),
    _Row("bytecode", lambda: sys.dont_write_bytecode, lambda flag: setattr(sys, "dont_write_bytecode", flag)),
    _Row("arguments of the interpreter", _arguments, lambda words: setattr(sys, "orig_argv", words)),
    _Row("time-out of sockets", _of("socket", lambda module: module.getdefaulttimeout()), _set_timeout),
    _Row("decimal context", _of("decimal", _decimal), _set_decimal),
    _Row("locale", _of("locale", lambda module: module.setlocale(module.LC_ALL)), _set_locale),
    _Row("numpy", _of("numpy", numpy_state), set_numpy),
    *(
        _Row(one.module, _of(one.module, _unless_empty(one.get)), set_when_there(one), True)
        for one in LIBRARIES
    ),
    _Row("stdout", _stream("stdout"), lambda stream: setattr(sys, "stdout", stream), any_object=True),
    _Row("stderr", _stream("stderr"), lambda stream: setattr(sys, "stderr", stream), any_object=True),
    _Row("warnings", _filters, _set_filters),
    _Row("csv", _of("csv", _unless_empty(registered.dialects)), registered.set_dialects),
    _Row(
        "types of files",
        _of("mimetypes", _unless_empty(registered.types_of_files)),
        registered.set_types_of_files,
    ),
    _Row("builtins", _unless_empty(registered.names), registered.add_names, any_object=True),
    _Row("hooks", _unless_empty(registered.hooks), registered.set_hooks, any_object=True),
    _Row("reducers", _reducers, registered.add_reducers, any_object=True),
    _Row("finders", _unless_empty(registered.finders), registered.add_finders, any_object=True),
    _Row("event loops", _of("asyncio", _policy), _set_policy, any_object=True),
    _Row(
        "types of logging",
        _unless_empty(registered.logging_types),
        registered.set_logging_types,
        any_object=True,
    ),
    _Row("logging", _logging, _set_logging, any_object=True),
    _Row("signals", _handlers, _set_handlers, any_object=True),
    _Row("blocked signals", _unless_empty(limits.blocked), limits.block, own=True),
    _Row("niceness", limits.niceness, limits.set_niceness, own=True),
    # Last, since they may leave little room.
    _Row("limits", limits.limits, limits.set_limits, own=True),
)
