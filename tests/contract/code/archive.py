"""A package out of an archive on `sys.path`."""

import inspect
import multiprocessing as mp
import os
import pkgutil
import shutil
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))


def see():
    import zipped

    try:
        zipped.fail()
    except ZeroDivisionError:
        trace = traceback.format_exc()
    names = [info.name for info in pkgutil.iter_modules(zipped.__path__)]
    folder = os.path.basename(os.path.dirname(os.path.dirname(zipped.__file__)))
    data = pkgutil.get_data("zipped", "note.txt")
    return zipped.depth(), folder, names, data, inspect.getsource(zipped.depth), trace


if __name__ == "__main__":
    archive = os.path.join(HERE, "lib.zip")
    if not os.path.exists(archive):
        shutil.make_archive(archive[: -len(".zip")], "zip", os.path.join(HERE, "lib"))
    sys.path.insert(0, archive)
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        for line in pool.apply(see):
            print(line)
