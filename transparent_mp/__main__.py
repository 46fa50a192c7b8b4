"""`python -m transparent_mp app.py ARGS`: the program, in an interpreter that is switched on.

Sets the environment and execs this interpreter with its own flags, so that `__main__` is truly the
program, in the same process. Where no .pth line of ours is read (a checkout, `pip --target`), the
door goes to PYTHONPATH, and with it the interpreters that the program starts inherit it.

Does not run the program itself, and knows nothing of what the settings mean.
"""

from __future__ import annotations

import io
import os
import site
import sys

from transparent_mp import shadows

TYPE_CHECKING = False  # see `_settings`
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = "usage: python [flags] -m transparent_mp (app.py | -m module | -c code | -) [args ...]"


def main() -> int:
    """Answers an exit status only if the program cannot be run: exec does not come back."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if not _is_program(arguments):
        return _refuse(USAGE)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.executable:
        return _refuse("transparent_mp: sys.executable is empty: call Python by its path")
    if sys.flags.no_site:
        return _refuse("transparent_mp: python -S skips what switches us on: leave -S out")
    seed, why = _settings()
    if why:
        return _refuse(f"transparent_mp: {why}")
    if not _is_installed(root):
        if sys.flags.ignore_environment:
            return _refuse("transparent_mp: -E and -I need transparent_mp installed: PYTHONPATH is ignored")
        os.environ["PYTHONPATH"] = _python_path(root)
    os.environ["TRANSPARENT_MP"] = "1"
    if os.environ.get("PYTHONHASHSEED", "random") == "random" and not sys.flags.ignore_environment:
        # The same in processes on workers, as in forked ones.
        os.environ["PYTHONHASHSEED"] = seed
    return _exec([sys.executable, *_flags(), *arguments])


def _settings() -> tuple[str, str]:
    """The seed of hashes where none is set, random as ever where workers begin with us; what is wrong."""
    # `-m` has put the current directory in front, where the program may have a `dataclasses.py`.
    shadows.step_aside()
    from transparent_mp.config import Config
    from transparent_mp.errors import ConfigError
    from transparent_mp.launch.hashing import LAMBDA_SEED

    try:
        config = Config.from_environ()
    except ConfigError as error:
        return "", str(error)
    chosen = str(int.from_bytes(os.urandom(4), "big") or 1)
    return LAMBDA_SEED if config.backend == "lambda" else chosen, ""


def _exec(command: list[str]) -> NoReturn:
    os.execv(command[0], command)  # noqa: S606


def _is_program(arguments: list[str]) -> bool:
    if not arguments:
        # `python -i`: the program is what is typed.
        return bool(sys.flags.interactive)
    first = arguments[0]
    if first in ("-m", "-c"):
        return len(arguments) > 1
    return first[:2] in ("-m", "-c") or first == "-" or not first.startswith("-")


def _is_installed(root: str) -> bool:
    """Whether an interpreter like this one reads our .pth line, and finds the package."""
    places = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    same = os.path.realpath(root)
    return any(
        os.path.realpath(place) == same and os.path.isfile(os.path.join(place, "transparent_mp.pth"))
        for place in places
    )


def _python_path(root: str) -> str:
    """PYTHONPATH with the door in front and the package behind, where it hides nothing."""
    shipped = os.path.join(root, "transparent_mp", "door")
    door = shipped if os.path.isdir(shipped) else os.path.join(root, "sitecustomize")
    present = os.environ.get("PYTHONPATH", "")
    entries = [entry for entry in present.split(os.pathsep) if entry != door] if present else []
    return os.pathsep.join([door, *entries, *([] if root in entries else [root])])


def _flags() -> list[str]:
    """The flags of this interpreter, without its own `-m transparent_mp`."""
    command = getattr(sys, "orig_argv", None)
    if command is None:  # Python 3.9
        from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

        flags: list[str] = _args_from_interpreter_flags()
        # Those that it leaves out: -i, and -u, no part of sys.flags, leaves standard output without a buffer.
        flags += ["-i"] if sys.flags.interactive else []
        unbuffered = sys.stdout is not None and isinstance(sys.stdout.buffer, io.RawIOBase)
        return [*flags, "-u"] if unbuffered else flags
    flags = command[1 : len(command) - len(sys.argv) + 1]
    last = flags.pop() if flags else ""
    # "-m name", "-Bm name", "-mname", "-Bmname"; or the path of this file or its directory.
    if last.startswith("-"):
        flags.append(last[: last.rindex("m", 0, last.index("transparent_mp"))])
    elif flags and flags[-1].startswith("-") and flags[-1].endswith("m"):
        flags.append(flags.pop()[:-1])
    if flags and flags[-1] == "-":
        flags.pop()
    return flags


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
