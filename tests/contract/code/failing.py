"""Modules that cannot be imported, and why."""

import importlib
import multiprocessing as mp
import os
import shutil
import sys
import traceback


def attempt(name):
    try:
        importlib.import_module(name)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        path = getattr(error, "path", None) or getattr(error, "filename", None) or last.filename
        said = type(error).__name__, str(error), getattr(error, "name", None), os.path.basename(path)
        return (*said, last.name, getattr(error, "text", None))
    return "imported"


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    # Not a .py before it is needed: formatters read this directory as well.
    shutil.copy(os.path.join(here, "broken.txt"), os.path.join(here, "broken.py"))
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        for name in (
            "raises",
            "broken",
            "wants",
            "nowhere",
            "stock.nowhere",
            "stock.parts.nowhere",
            "json.nowhere",
        ):
            print(name, *pool.apply(attempt, (name,)))
