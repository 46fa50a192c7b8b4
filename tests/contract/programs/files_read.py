"""Files of every common kind, read by processes."""

import bz2
import configparser
import csv
import fileinput
import glob
import gzip
import io
import json
import linecache
import lzma
import mmap
import multiprocessing as mp
import os
import pickle
import shelve
import sqlite3
import sys
import tarfile
import tempfile
import zipfile
from dbm import dumb
from pathlib import Path

import numpy as np


def make(folder):
    Path(folder, "text.txt").write_text("one\ntwo\nthree ü\n", encoding="utf-8")
    Path(folder, "binary.bin").write_bytes(bytes(range(256)) * 500)
    Path(folder, "empty").touch()
    with open(os.path.join(folder, "rows.csv"), "w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, 2], [3, 4]])
    Path(folder, "data.json").write_text(json.dumps({"list": [1, 2, {"three": None}]}))
    Path(folder, "set.ini").write_text("[section]\nkey = value\n")
    Path(folder, "object.pickle").write_bytes(pickle.dumps({"a": (1, 2)}))
    for module, name in ((gzip, "text.gz"), (bz2, "text.bz2"), (lzma, "text.xz")):
        with module.open(os.path.join(folder, name), "wt") as file:
            file.write("packed\n" * 1000)
    np.save(os.path.join(folder, "array.npy"), np.arange(60.0).reshape(6, 10))
    np.savez(os.path.join(folder, "arrays.npz"), x=np.arange(5), y=np.eye(3))
    np.savetxt(os.path.join(folder, "array.txt"), np.arange(6).reshape(2, 3))
    np.arange(100, dtype=np.int32).tofile(os.path.join(folder, "array.raw"))
    with zipfile.ZipFile(os.path.join(folder, "all.zip"), "w") as archive:
        archive.writestr("inner/text.txt", "in a zip")
    with tarfile.open(os.path.join(folder, "all.tar.gz"), "w:gz") as archive:
        archive.add(os.path.join(folder, "text.txt"), "inside.txt")
    with sqlite3.connect(os.path.join(folder, "data.db")) as database:
        database.execute("create table t (n integer, s text)")
        database.executemany("insert into t values (?, ?)", [(n, str(n) * 3) for n in range(500)])
    database.close()
    with shelve.Shelf(dumb.open(os.path.join(folder, "shelf"))) as shelf:
        shelf["key"] = [1, 2, 3]
    os.symlink("text.txt", os.path.join(folder, "link"))


def text(path):
    with open(path("text.txt"), encoding="utf-8") as file:
        yield file.name == path("text.txt"), file.mode, file.encoding, file.readable(), file.writable()
        yield file.readline(), file.tell(), list(file), file.read()
        file.seek(4)
        yield file.read(3)
    yield file.closed
    yield list(open(path("link"), encoding="utf-8"))
    yield open(path("text.txt"), newline="\r\n", encoding="latin-1").readlines()
    yield Path(path("text.txt")).read_text(encoding="utf-8"), open(path("empty")).read()
    yield linecache.getline(path("text.txt"), 2), list(fileinput.input(path("array.txt")))


def binary(path):
    with open(path("binary.bin"), "rb") as file:
        yield file.read(3), file.seek(-2, 2), file.read(), file.tell(), file.peek(1)
        file.seek(1000)
        buffer = bytearray(5)
        yield file.readinto(buffer), bytes(buffer), file.fileno() > 2, file.isatty()
    with open(path("binary.bin"), "rb", buffering=0) as file:
        yield file.read(4), file.readall()[-3:], isinstance(file, io.FileIO), file.mode
    fd = os.open(path("binary.bin"), os.O_RDONLY)
    yield (
        os.read(fd, 4),
        os.lseek(fd, 10, os.SEEK_SET),
        os.read(fd, 2),
        os.pread(fd, 3, 255),
        os.fstat(fd).st_size,
    )
    with os.fdopen(fd, "rb") as file:
        yield file.read(2)
    with (
        open(path("binary.bin"), "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        yield len(mapped), mapped[254:258], mapped.find(b"\xff\x00")


def parsed(path):
    with open(path("rows.csv"), newline="") as file:
        yield list(csv.DictReader(file))
    with open(path("data.json")) as file:
        yield json.load(file)
    parser = configparser.ConfigParser()
    yield len(parser.read([path("set.ini"), path("none.ini")])), parser["section"]["key"]
    with open(path("object.pickle"), "rb") as file:
        yield pickle.load(file)
    for module, name in ((gzip, "text.gz"), (bz2, "text.bz2"), (lzma, "text.xz")):
        with module.open(path(name), "rt") as file:
            yield sum(1 for _ in file)
    with zipfile.ZipFile(path("all.zip")) as archive:
        yield archive.namelist(), archive.read("inner/text.txt")
    with tarfile.open(path("all.tar.gz")) as archive:
        yield archive.getnames(), archive.extractfile("inside.txt").read()
    with shelve.Shelf(dumb.open(path("shelf"), "r")) as shelf:
        yield shelf["key"]


def arrays(path):
    yield np.load(path("array.npy")).sum(), np.load(path("array.npy"), mmap_mode="r")[2:4].tolist()
    with np.load(path("arrays.npz")) as both:
        yield both["x"].tolist(), both["y"].tolist()
    yield np.loadtxt(path("array.txt")).tolist(), np.fromfile(path("array.raw"), dtype=np.int32)[-2:].tolist()
    mapped = np.memmap(path("array.raw"), dtype=np.int32, mode="r", offset=40, shape=(5,))
    yield mapped.tolist(), np.memmap(path("array.raw"), dtype=np.int32, mode="c")[:3].tolist()


def database(path):
    connection = sqlite3.connect(path("data.db"))
    yield connection.execute("select count(*), sum(n), max(s) from t").fetchall()
    connection.close()
    with sqlite3.connect(f"file:{path('data.db')}?mode=ro", uri=True) as connection:
        yield connection.execute("select s from t where n = 7").fetchone()
    connection.close()


def names(path):
    folder = path("")
    yield sorted(os.listdir(folder)), sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    yield [
        sorted(map(os.path.basename, glob.glob(path(pattern)))) for pattern in ("*.txt", "array.*", "**/link")
    ]
    yield sorted(p.name for p in Path(folder).glob("*.gz")), sorted(os.listdir(os.fsencode(folder)))[:2]
    found = os.stat(path("binary.bin"))
    yield found.st_size, found.st_mtime_ns == os.path.getmtime(path("binary.bin")) * 1e9 or found.st_mtime > 0
    yield (
        [os.path.exists(path(n)) for n in ("link", "none")],
        os.path.islink(path("link")),
        os.readlink(path("link")),
    )
    yield (
        os.path.realpath(path("link")) == os.path.realpath(path("text.txt")),
        os.path.samefile(path("link"), path("text.txt")),
    )
    yield os.access(path("text.txt"), os.R_OK), os.access(path("none"), os.F_OK), Path(path("")).is_dir()
    yield [(os.path.relpath(top, folder), dirs, len(files)) for top, dirs, files in os.walk(folder)]
    yield (
        os.path.getsize(Path(folder) / "text.txt"),
        Path(path("none")).exists(),
        Path(folder).resolve().is_dir(),
    )


def look(kind, folder, queue):
    try:
        queue.put([repr(each) for each in kind(lambda name: os.path.join(folder, name))])
    except Exception as error:
        queue.put([repr(error)])
        raise


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        queue = mp.SimpleQueue()
        for kind in (text, binary, parsed, arrays, database, names):
            process = mp.Process(target=look, args=(kind, folder, queue))
            process.start()
            print(kind.__name__, *queue.get(), sep="\n  ")
            process.join()
            print(process.exitcode, sorted(os.listdir(folder)))
