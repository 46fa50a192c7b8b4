"""Files in packages, and what packages hold."""

import importlib.resources
import json
import multiprocessing as mp
import pkgutil
import sys
import warnings


def shown(files):
    return sorted(item.name for item in files.iterdir() if item.name != "__pycache__")


def older():
    resources = importlib.resources
    if not hasattr(resources, "read_text"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [resources.read_text("stock", "conf.json"), resources.is_resource("stock", "conf.json")]
        found.append(sorted(set(resources.contents("stock")) - {"__pycache__"}))
        with resources.path("stock", "conf.json") as path, open(path) as file:
            found.append(file.read())
        with resources.open_binary("stock", "conf.json") as file:
            found.append(file.read())
    return found


def see():
    import stock

    yield pkgutil.get_data("stock", "data/text.txt")
    yield [(info.name, info.ispkg) for info in pkgutil.iter_modules(stock.__path__)]
    yield [info.name for info in pkgutil.walk_packages(stock.__path__, "stock.")]
    files = importlib.resources.files("stock")
    yield shown(files), shown(files / "data")
    yield files.joinpath("data/text.txt").read_text(), (files / "data" / "text.txt").read_bytes()
    yield (files / "conf.json").is_file(), (files / "data").is_dir(), (files / "nope").is_file()
    with importlib.resources.as_file(files / "conf.json") as path, open(path) as file:
        yield json.load(file)
    yield older()
    import spread.inner.mod

    yield spread.inner.mod.where(), hasattr(spread, "__file__"), len(spread.__path__)
    # Python 3.9 knows no files of a package without a file.
    if sys.version_info >= (3, 10):
        yield shown(importlib.resources.files("spread"))
        yield (importlib.resources.files("spread") / "note.txt").read_text()
    try:
        pkgutil.get_data("stock", "nowhere.txt")
    except OSError as error:
        yield type(error).__name__, error.errno


def seen():
    return list(see())


if __name__ == "__main__":
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        for line in pool.apply(seen):
            print(line)
