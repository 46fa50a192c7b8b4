"""Functions that dill unpickles: it refers to the globals of `__main__`, which may be still to come.

A process's image holds what code of `__main__` was known to load at its `start()`. A function that
comes later, in a task, may load others: they are said to be used before it is made.

It does not change what dill pickles.
"""

from __future__ import annotations

import functools
from typing import Any

from transparent_mp.primitives import main_globals
from transparent_mp.primitives.reduction import DYNAMIC, global_names


def create_function(stock: Any) -> Any:
    """`_create_function`, by which every function of a pickle is made."""

    @functools.wraps(stock)
    def create(code: Any, space: Any, *args: Any, **kwargs: Any) -> Any:
        names = global_names(code)
        main_globals.use(space, names, whole=bool(names & DYNAMIC))
        return stock(code, space, *args, **kwargs)

    return create
