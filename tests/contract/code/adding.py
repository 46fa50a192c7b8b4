"""A process that puts directories on sys.path and imports from them: plug-ins that it is told of."""

import importlib
import importlib.resources
import inspect
import multiprocessing as mp
import os
import pkgutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def local(path):
    return os.path.relpath(path, HERE)


def see(names):
    for name in names:
        module = importlib.import_module(name)
        print(name, local(module.__file__), type(module.__loader__).__name__, module.__spec__.name)


def load(there):
    sys.path.insert(0, os.path.join(HERE, "plugins"))
    see(["plug", "kit", "kit.part"])
    import kit
    import plug

    print(plug.name(), kit.PART, inspect.getsource(plug.name).split())
    print((importlib.resources.files("kit") / "note.txt").read_text().strip())
    with open(os.path.join(os.path.dirname(kit.__file__), "note.txt")) as file:
        print(file.read().strip())
    print([module.name for module in pkgutil.iter_modules(sys.path[:1])])
    print([module.name for module in pkgutil.iter_modules(kit.__path__)])
    sys.path.append("plugins/open")
    from space import inner

    print(inner.INNER, local(inner.__file__))
    for name in ("no_such_plug", "kit.no_such_part"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(type(error).__name__, error, error.name)
    # A file that comes later.
    with open(os.path.join(HERE, "plugins", f"late_{there}.py"), "w") as file:
        file.write("LATE = 'late'\n")
    importlib.invalidate_caches()
    print(importlib.import_module(f"late_{there}").LATE, flush=True)
    if there == "outer":
        run(load_again)


def load_again():
    import kit.part
    import late_outer

    print(kit.part.PART, late_outer.LATE, local(kit.__file__))


def run(target, *args):
    process = mp.get_context(sys.argv[1]).Process(target=target, args=args)
    process.start()
    process.join()
    print("exit code", process.exitcode, flush=True)


if __name__ == "__main__":
    run(load, "outer")
    os.unlink(os.path.join(HERE, "plugins", "late_outer.py"))
    print([name in sys.modules for name in ("plug", "kit")])
