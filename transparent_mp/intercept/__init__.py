"""The only place that changes other people's modules.

`install` and `uninstall` are the whole of it: `patches` is the table, `finder` waits for the modules
it names, `apply` sets the names and gives them back. `activate` is what the doors call at the start
of an interpreter. All of this runs in every interpreter that is switched on, so it imports nothing
that a plain start-up does not have.

Does not import a replacement before the module is there whose name it takes.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

from transparent_mp import shadows
from transparent_mp.intercept.finder import Finder
from transparent_mp.intercept.patches import SIDES, TABLE
from transparent_mp.originals import original

TYPE_CHECKING = False  # `typing` costs more modules than start-up may import
if TYPE_CHECKING:
    from transparent_mp.intercept.patches import Patch, Side

__all__ = ["activate", "install", "original", "uninstall"]

#: The values of TRANSPARENT_MP. The doors repeat OFF, so as to import nothing of ours when it holds.
ON = ("1", "true", "yes", "on")
OFF = ("", "0", "false", "no", "off")

_lock = allocate_lock()
_installed: tuple[tuple[Side, tuple[Patch, ...]], Finder] | None = None


def activate() -> None:
    """Install if TRANSPARENT_MP asks for it; a value without meaning ends the interpreter."""
    switch = os.environ.get("TRANSPARENT_MP", "").strip().lower()
    if switch in ON:
        install()
    elif switch not in OFF:
        _say(f"TRANSPARENT_MP={switch!r} is unknown: use 1 to switch on, 0 to switch off")
        # Start-up makes a traceback and a status of its own of any exception; nothing has run yet
        # that would want to clean up.
        os._exit(2)


def install(side: Side = "client", *, table: tuple[Patch, ...] = TABLE) -> None:
    """Put the table in force for `side`; a second time changes nothing, another side takes its place."""
    global _installed
    if side not in SIDES:
        raise ValueError(f"side {side!r} is unknown: use one of {', '.join(SIDES)}")
    client = side == "client"
    rows = [row for row in table if side in row.sides]
    finder = Finder(rows, _check_settings, shadows.step_aside) if client else Finder(rows, _no_check)
    with _lock:
        before, key = _installed, (side, table)
        if before is not None and before[0] == key and before[1] in sys.meta_path:
            return
        _installed = key, finder
    # The lock is not held from here on: patching imports, and an import may come back to us.
    if before is not None:
        before[1].close()
    sys.meta_path.insert(0, finder)
    late = finder.patch_loaded(start_up=client)
    if late:
        _warn(
            f"installed too late for {', '.join(late)}: what was copied before stays as it was; "
            "start the program with `python -m transparent_mp` or TRANSPARENT_MP=1"
        )


def uninstall() -> None:
    """The table reversed: every name has its original again. What others copied meanwhile is theirs."""
    global _installed
    with _lock:
        before, _installed = _installed, None
    if before is not None:
        before[1].close()


def _check_settings() -> None:
    # Not at start-up, which has no room for what `config` imports; and an exception that the
    # program is not likely to catch, since nothing it could do would make the settings right.
    from transparent_mp.config import Config
    from transparent_mp.errors import ConfigError

    try:
        Config.from_environ()
    except ConfigError as error:
        _say(str(error))
        raise SystemExit(2) from None


def _no_check() -> None:
    # A worker has its settings from the client that launched it.
    pass


def _warn(message: str) -> None:
    from transparent_mp.config import LOG_LEVELS, Config
    from transparent_mp.errors import ConfigError

    try:
        wanted = LOG_LEVELS.index(Config.from_environ().log) <= LOG_LEVELS.index("warning")
    except ConfigError:
        wanted = True  # `_check_settings` will say so at the first import that depends on them
    if wanted:
        _say("warning: " + message)


def _say(message: str) -> None:
    if sys.stderr is not None:
        print("transparent_mp:", message, file=sys.stderr, flush=True)
