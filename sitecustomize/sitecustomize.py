"""The door for places where no .pth line is read: put this directory on PYTHONPATH.

An interpreter imports one `sitecustomize`: this one runs the next on the path, as if it had been
found itself, and then, if TRANSPARENT_MP asks for it, what `transparent_mp.pth` runs.
"""

import os
import sys
from _frozen_importlib import module_from_spec
from _frozen_importlib_external import PathFinder  # every interpreter has it, unlike importlib


def _run_next(here):
    path = [os.path.abspath(entry) for entry in sys.path]
    behind = path[path.index(here) + 1 :] if here in path else path
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in behind if entry != here])
    if spec is not None and spec.loader is not None and spec.origin is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


def _activate(here):
    try:
        import transparent_mp  # noqa: F401
    except ModuleNotFoundError:
        # Beside this directory in a checkout, around it in a wheel; last, so that it hides nothing.
        above = os.path.dirname(here)
        beside = os.path.isdir(os.path.join(above, "transparent_mp"))
        sys.path.append(above if beside else os.path.dirname(above))
    from transparent_mp.intercept import activate

    activate()


try:
    _run_next(os.path.dirname(os.path.abspath(__file__)))
finally:
    if os.environ.get("TRANSPARENT_MP", "").strip().lower() not in ("", "0", "false", "no", "off"):
        _activate(os.path.dirname(os.path.abspath(__file__)))
