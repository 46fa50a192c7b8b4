"""An unpickler that goes on where an object cannot be rebuilt.

What fails (a class whose module is not there, a constructor that raises) becomes a `LostGlobal`, and
so does what is built from it; all else in the stream, and the memo that later parts rely on, is whole.

It is slow and used only after pickle's own has failed.
"""

from __future__ import annotations

import pickle
from typing import Any

from transparent_mp.primitives.main_globals import LostGlobal, lost_global

#: The unpickler in Python, whose opcodes can be replaced one by one.
_Unpickler: Any = pickle._Unpickler


class TolerantUnpickler(_Unpickler):  # type: ignore[misc]
    """Reads the globals of `__main__`, one after another."""

    def load_global(self, name: str, kind: str) -> Any:
        """The next pickle in the stream: the value of the global `name`."""
        self._what = name, kind
        try:
            return self.load()
        except Exception as error:  # noqa: BLE001 - kept, and raised where the global is used
            return self._lost(error)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except Exception as error:  # noqa: BLE001 - see the module's head
            return self._lost(error)

    def _lost(self, error: Exception) -> LostGlobal:
        return lost_global(*self._what, f"{type(error).__name__}: {error}")

    def load_reduce(self) -> None:
        args = self.stack.pop()
        func = self.stack[-1]
        if type(func) is LostGlobal:
            return
        try:
            self.stack[-1] = func(*args)
        except Exception as error:  # noqa: BLE001 - see the module's head
            self.stack[-1] = self._lost(error)

    def load_newobj(self) -> None:
        args = self.stack.pop()
        self._new(self.stack.pop(), args, {})

    def load_newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self._new(self.stack.pop(), args, kwargs)

    def _new(self, cls: Any, args: Any, kwargs: Any) -> None:
        try:
            made = cls if type(cls) is LostGlobal else cls.__new__(cls, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - see the module's head
            made = self._lost(error)
        self.append(made)

    def _after(self, load: Any) -> None:
        """Run an opcode that fills the object on top of the stack once its operand is taken off."""
        try:
            load(self)
        except Exception as error:  # noqa: BLE001 - see the module's head
            half = self.stack[-1]
            if type(half) is not LostGlobal:
                self.stack[-1] = lost = self._lost(error)
                self.memo.update({key: lost for key, value in self.memo.items() if value is half})

    dispatch = {
        **_Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
    }
    for _code in (
        pickle.BUILD,
        pickle.APPEND,
        pickle.APPENDS,
        pickle.SETITEM,
        pickle.SETITEMS,
        pickle.ADDITEMS,
    ):
        dispatch[_code[0]] = lambda self, load=dispatch[_code[0]]: self._after(load)
