"""Files by name: handed over in both directions, beside a module, in /dev/shm, relative; chdir."""

import glob
import multiprocessing as mp
import os
import pickle
import shutil
import sys
import tempfile
from pathlib import Path

from own import reader


def produce(number):
    """A temporary file that whoever asked is to remove."""
    fd, path = tempfile.mkstemp(prefix="handed-", suffix=".pickle")
    with os.fdopen(fd, "wb") as file:
        pickle.dump(list(range(number)), file)
    return path


def consume(path):
    with open(path, "rb") as file:
        data = pickle.load(file)
    os.remove(path)
    return sum(data)


def through_memory(paths):
    """As pandarallel does: read and unlink what came, write what goes."""
    taken, given = paths
    with open(taken, "rb") as file:
        data = pickle.load(file)
    os.unlink(taken)
    with open(given, "wb") as file:
        pickle.dump([each * 2 for each in data], file)
    return os.path.dirname(given), os.path.exists(taken)


def see(path):
    return Path(path).read_text(), os.stat(path).st_size, os.path.exists(path + ".new")


def stand(folder):
    seen = [
        os.getcwd() == folder,
        os.listdir(),
        open("relative.txt").read(),
        os.path.abspath("x") == folder + "/x",
    ]
    os.mkdir("sub")
    os.chdir("sub")
    seen += [
        os.getcwd() == folder + "/sub",
        os.path.exists("../relative.txt"),
        str(Path.cwd()) == os.getcwd(),
    ]
    with open("made.txt", "w") as file:
        file.write("made in sub")
    os.chdir(os.pardir)
    seen += [
        sorted(glob.glob("*")),
        Path("sub/made.txt").read_text(),
        os.path.realpath("sub") == folder + "/sub",
    ]
    os.chdir("/")
    seen += [os.getcwd(), os.path.isdir("usr"), os.path.exists("relative.txt")]
    os.chdir(Path(folder) / "sub")
    seen += [os.getcwd() == folder + "/sub", os.listdir(os.curdir), shutil.disk_usage(".").total > 0]
    try:
        os.chdir("nowhere")
    except OSError as error:
        seen.append(repr(error))
    return seen


def keep_temporary():
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as named:
        named.write(b"content")
        named.flush()
        with open(named.name, "rb") as file, tempfile.TemporaryFile("w+") as nameless:
            nameless.write("nobody else's")
            nameless.seek(0)
            return os.path.isdir(folder), file.read(), nameless.read(), tempfile.gettempdir()


def stay(folder):
    """Files that a process leaves open, and removes while they are."""
    global kept
    kept = open(f"{folder}/left-open", "w")
    kept.write("written, and flushed")
    kept.flush()
    other = open(f"{folder}/removed", "w+")
    other.write("gone")
    other.flush()
    os.unlink(f"{folder}/removed")
    other.seek(0)
    moved = open(f"{folder}/before", "w")
    os.rename(f"{folder}/before", f"{folder}/after")
    moved.write("under its new name")
    moved.close()
    return other.read(), os.path.exists(f"{folder}/removed")


def pack(folder):
    return shutil.make_archive(folder + "/packed", "zip", folder, "sub")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, mp.Pool(2) as pool:
        folder = os.path.realpath(folder)
        paths = pool.map(produce, range(1, 6))
        print(
            [len(pickle.loads(Path(path).read_bytes())) for path in paths],
            {os.path.dirname(p) for p in paths},
        )
        print(pool.map(consume, paths), [os.path.exists(path) for path in paths])
        print(pool.map(consume, [produce(n) for n in range(4)]))

        where = "/dev/shm" if os.path.isdir("/dev/shm") else folder
        pairs = [
            (f"{where}/to-{os.getpid()}-{n}.pickle", f"{where}/from-{os.getpid()}-{n}.pickle")
            for n in range(3)
        ]
        for number, (taken, _) in enumerate(pairs):
            Path(taken).write_bytes(pickle.dumps([number] * 3))
        print(pool.map(through_memory, pairs))
        for _, given in pairs:
            print(pickle.loads(Path(given).read_bytes()), os.remove(given))

        path = os.path.join(folder, "changing")
        for text in ("first", "second", "3rd", "FIRST"):
            Path(path).write_text(text)
            print(pool.apply(see, (path,)))
        os.rename(path, path + ".new")
        for each in (path + ".new", path):
            try:
                print(pool.apply(see, (each,)))
            except OSError as error:
                print(type(error).__name__, error.errno, error.filename == each)

        print(pool.apply(reader.read), pool.apply(keep_temporary))
        print(
            pool.apply(stay, (folder,)),
            Path(folder, "left-open").read_text(),
            Path(folder, "after").read_text(),
        )
        # Functions of os as tasks.
        print(pool.map(os.path.getsize, [path + ".new"]), pool.map(os.remove, [path + ".new"]))

    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        os.chdir(folder)
        Path("relative.txt").write_text("relative")
        with mp.Pool(1) as pool:
            print(pool.apply(stand, (folder,)))
            print(os.path.relpath(pool.apply(pack, (folder,)), folder))
        print(sorted(str(each) for each in Path().rglob("*")))
        # What it prints about its end is plain Python's to the last line.
        for target, name in ((open, "none"), (os.rmdir, "relative.txt"), (see, "none")):
            process = mp.Process(target=target, args=(name,), name=f"failing {name}")
            process.start()
            process.join()
            print(process.exitcode)
        os.chdir("/")
