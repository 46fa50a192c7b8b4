"""A process object under `fork`, without what cannot travel: that stays behind, as it does among globals.

Nothing is pickled by a real fork, so a program may start a process whose object leads to a generator, a
socket or a pool that the process never touches. Each such object becomes a stand-in whose every use raises
`LostGlobalError` and says what it was. The object itself, and what it consists of, is whole.

It takes a second pickle, made only where the first has failed: asking every object by itself is slow.

An error of the store is raised, and so is a recursion that goes too deep.
"""

from __future__ import annotations

import io
import types
from typing import Any

from transparent_mp.errors import StoreError
from transparent_mp.primitives import main_globals
from transparent_mp.primitives.reduction import ForkPickler, explained

_PROTOCOL = 5
#: Nothing that is wrong with one object.
_FATAL = (StoreError, RecursionError, MemoryError)


def dump(process_obj: Any, file: io.BytesIO) -> ForkPickler:
    """Pickle a process object into `file`; the pickler is returned for its `names`."""
    begin = file.tell()
    pickler = ForkPickler(file, _PROTOCOL)
    try:
        pickler.dump(process_obj)
    except _FATAL:
        raise
    except Exception:  # noqa: BLE001 - whatever a reducer raises: who it was, the second pickle finds out
        file.seek(begin)
        file.truncate()
        pickler = leaving = _LeavingPickler(file, _PROTOCOL)
        leaving.root = process_obj
        try:
            leaving.dump(process_obj)
        except Exception as error:
            raise explained(error, process_obj) from error
    return pickler


class _LeavingPickler(ForkPickler):
    root: Any = None

    def reducer_override(self, obj: Any) -> Any:
        try:
            reduced = super().reducer_override(obj)
            return self._reduced(obj) if reduced is NotImplemented else reduced
        except _FATAL:
            raise
        except Exception as error:
            if obj is self.root:
                raise
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return main_globals.reduce_lost(main_globals.lost_object(type(obj).__qualname__, why))

    def _reduced(self, obj: Any) -> Any:
        """As pickle goes on, once nobody has overridden it."""
        kind = type(obj)
        reduce = self.dispatch_table.get(kind)
        if reduce is not None:
            return reduce(obj)
        if kind is types.FunctionType or issubclass(kind, type):
            return NotImplemented
        return obj.__reduce_ex__(_PROTOCOL)
