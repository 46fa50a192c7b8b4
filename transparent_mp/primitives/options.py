"""What a program has set in libraries that it uses: options, random states, registered environments.

A row of `LIBRARIES` names the module, what of it differs from a fresh import, and how that is set in a
process: as soon as the process has the module, which is not imported for it. The process may never need it,
and these take longer to import than all else. Libraries change; what of one cannot be had or set is left.

It does not hold what the interpreter and the standard library are set to; `settings` does.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Callable, NamedTuple

from transparent_mp.primitives.following import follow

log = logging.getLogger("transparent_mp")

#: Backends that draw without a display; a worker has none.
_DRAWN_ANYWHERE = frozenset({"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"})
#: Who registers environments when gymnasium itself is imported.
_OF_GYMNASIUM = ("gymnasium.", "shimmy.")
#: Environments of one package that travel with each start, some 0.3 KB each. A package that has more has
#: registered them by being imported (ale_py's are thousands): its name travels, and the process imports it.
_MANY = 64


class Library(NamedTuple):
    """What fork inherits of one library."""

    #: The module that has it, and whose import it follows in a process.
    module: str
    #: What differs from a fresh import; nothing, if it is false.
    get: Callable[[Any], Any]
    set: Callable[[Any, Any], Any]


def set_when_there(library: Library) -> Callable[[Any], None]:
    """What sets it in this process, now or when the module is imported."""

    def then(value: Any) -> None:
        if library.module in sys.modules:
            _set(library, value, sys.modules[library.module])
        else:
            follow(library.module, lambda module: _set(library, value, module))

    return then


def _set(library: Library, value: Any, module: Any) -> None:
    with warnings.catch_warnings():
        # Of an option that will go: the program was warned when it set it.
        warnings.simplefilter("ignore")
        try:
            library.set(module, value)
        except Exception as error:  # noqa: BLE001 - no option is worth an import that fails
            log.debug("what the client has set in %s cannot be had here: %s", library.module, error)


def numpy_state(numpy: Any) -> dict[str, Any]:
    """Numpy's, which is plain and known for nearly every program: a row of its own."""
    random: Any = sys.modules.get("numpy.random")
    state = None
    if hasattr(random, "get_state"):
        kind, key, *rest = random.get_state()
        # As bytes: an array would bring numpy along.
        state = kind, key.dtype.str, key.tobytes(), rest
    return {"random": state, "print": numpy.get_printoptions(), "errors": numpy.geterr()}


def set_numpy(state: Any) -> None:
    """Set it, now or when numpy is imported."""

    def shown(numpy: Any) -> None:
        numpy.set_printoptions(**state["print"])
        numpy.seterr(**state["errors"])

    def drawn(random: Any) -> None:
        if state["random"] is not None:
            kind, dtype, key, rest = state["random"]
            random.set_state((kind, sys.modules["numpy"].frombuffer(key, dtype), *rest))

    # The process may never need it, and its import takes longer than all else.
    for name, then in (("numpy", shown), ("numpy.random", drawn)):
        if name in sys.modules:
            then(sys.modules[name])
        else:
            follow(name, then)


def _pandas(pandas: Any) -> dict[str, Any]:
    config = pandas._config.config
    found: dict[str, Any] = {}
    # Not by `get_option`, which warns of some.
    for key, option in config._registered_options.items():
        value: Any = config._global_config
        for part in key.split("."):
            value = value[part]
        if _differ(value, option.defval):
            found[key] = value
    return found


def _set_pandas(pandas: Any, options: dict[str, Any]) -> None:
    for key, value in options.items():
        with contextlib.suppress(KeyError):
            pandas.set_option(key, value)


def _matplotlib(matplotlib: Any) -> dict[str, Any]:
    usual = matplotlib.rcParamsDefault
    # As the dict that it is: its own look-up of the backend finds one, and warns of some keys.
    found = {
        key: value for key, value in dict.items(matplotlib.rcParams) if _differ(value, dict.get(usual, key))
    }
    if str(found.get("backend", "")).lower() not in _DRAWN_ANYWHERE:
        found.pop("backend", None)
    return found


def _set_matplotlib(matplotlib: Any, params: dict[str, Any]) -> None:
    matplotlib.rcParams.update(params)


def _differ(one: Any, other: Any) -> bool:
    try:
        return one is not other and bool(one != other)
    except Exception:  # noqa: BLE001 - an array, say, that has no truth
        return True


def _torch(torch: Any) -> dict[str, Any]:
    return {
        "random": torch.get_rng_state().numpy().tobytes(),
        "dtype": str(torch.get_default_dtype()).rpartition(".")[2],
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _set_torch(torch: Any, state: dict[str, Any]) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(state["random"]), dtype=torch.uint8))
    torch.set_default_dtype(getattr(torch, state["dtype"]))
    torch.set_grad_enabled(state["grad"])
    if torch.are_deterministic_algorithms_enabled() != state["deterministic"]:
        # Imports a thousand modules.
        torch.use_deterministic_algorithms(state["deterministic"])


def _gymnasium(gymnasium: Any) -> Any:
    known = gymnasium.envs.registration.registry.values()
    own = [spec for spec in known if not _is_gymnasium_s(spec.entry_point)]
    if not own:
        return None
    count = collections.Counter(map(_package, own))
    packages = sorted(name for name, number in count.items() if name and number > _MANY)
    return packages, [dict(_arguments(spec)) for spec in own if _package(spec) not in packages]


def _is_gymnasium_s(entry: Any) -> bool:
    home = entry if isinstance(entry, str) else getattr(entry, "__module__", None)
    return str(home).startswith(_OF_GYMNASIUM)


def _package(spec: Any) -> str:
    return spec.entry_point.partition(":")[0].partition(".")[0] if isinstance(spec.entry_point, str) else ""


def _arguments(spec: Any) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(spec, field.name)) for field in fields(spec) if field.init)


def _set_gymnasium(gymnasium: Any, state: Any) -> None:
    packages, specs = state
    registration = gymnasium.envs.registration
    for package in packages:
        with contextlib.suppress(ImportError):
            importlib.import_module(package)
    for arguments in specs:
        # What an import of the process's own registers stands.
        registration.registry.setdefault(arguments["id"], registration.EnvSpec(**arguments))


LIBRARIES = (
    Library("pandas", _pandas, _set_pandas),
    Library("matplotlib", _matplotlib, _set_matplotlib),
    Library("torch", _torch, _set_torch),
    Library("gymnasium", _gymnasium, _set_gymnasium),
)
