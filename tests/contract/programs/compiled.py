"""Bytecode that processes leave behind, to the byte, also what depends on what a process has interned."""

import compileall
import hashlib
import importlib
import json
import multiprocessing as mp
import os
import shutil
import sys
import tempfile

#: Modules of the standard library, with strings of one character of all kinds.
TAKEN = ["ast", "string", "tokenize", "json.decoder", "json.scanner", "logging", "zipfile"]
if sys.version_info < (3, 13):
    # A class in a class: later it shows whether the module was imported, as a worker may do ahead.
    TAKEN.append("argparse")


def has_sets(code):
    inner = [one for one in code.co_consts if hasattr(one, "co_consts")]
    return any(isinstance(one, frozenset) for one in code.co_consts) or any(map(has_sets, inner))


def fill(tree):
    for name in TAKEN:
        # In some versions the order in a file is the set's own, which differs from run to run.
        if has_sets(importlib.import_module(name).__spec__.loader.get_code(name)):
            continue
        place = os.path.join(tree, f"{name}.py".replace("json.", ""))
        shutil.copy(sys.modules[name].__file__, place)
        os.utime(place, (1_000_000_000, 1_000_000_000))
    place = os.path.join(tree, "marks.py")
    with open(place, "w") as file:
        file.write("".join(f"c{number} = {chr(number)!r}\n" for number in range(256)))
    os.utime(place, (1_000_000_000, 1_000_000_000))


def show(tree):
    folder = os.path.join(tree, "__pycache__")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            print(name, hashlib.sha1(file.read()).hexdigest())
    shutil.rmtree(folder)


def compile_all(tree, **options):
    # The paths are in what is compiled.
    print(compileall.compile_dir(tree, quiet=1, stripdir=tree, prependdir="tree", **options))
    show(tree)


def inside(tree):
    compile_all(tree, workers=1)
    # What a process does itself leaves its traces there and not in another.
    json.dumps({"a": [1]})
    compile_all(tree, workers=1)
    sys.stdout.flush()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as tree:
        fill(tree)
        compile_all(tree, workers=2)
        process = mp.Process(target=inside, args=(tree,))
        process.start()
        process.join()
        compile_all(tree, workers=1)
        # Inherited by fork.
        json.dumps({"a": [1]})
        compile_all(tree, workers=2)
