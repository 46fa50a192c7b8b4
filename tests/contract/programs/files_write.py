"""Files written by many processes at once; what is left of them is printed."""

import fcntl
import gzip
import hashlib
import io
import json
import logging
import mmap
import multiprocessing as mp
import os
import shutil
import signal
import sqlite3
import stat
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

PROCESSES = 4


def own_files(folder, number):
    with open(f"{folder}/text-{number}.txt", "w", encoding="utf-8") as file:
        file.write("ü" * number)
        print("printed", number, file=file)
        file.writelines(["a\n", "b\n"])
    Path(folder, f"path-{number}.bin").write_bytes(bytes([number]) * 100_000)
    with open(f"{folder}/data-{number}.json", "w") as file:
        json.dump({"number": number}, file)
    with gzip.GzipFile(f"{folder}/packed-{number}.gz", "wb", mtime=0) as file:
        file.write(b"packed" * 100)
    with zipfile.ZipFile(f"{folder}/packed-{number}.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("inner"), str(number))
    with io.BufferedWriter(io.FileIO(f"{folder}/own-buffer-{number}", "w")) as file:
        file.write(b"own" * number)
    np.save(f"{folder}/array-{number}.npy", np.full((300, 300), number))
    np.full(10, number, dtype=np.int8).tofile(f"{folder}/array-{number}.raw")
    with open(f"{folder}/large-{number}.bin", "wb") as file:
        for _ in range(30):
            file.write(os.urandom(1) * 0 + bytes([number]) * 100_001)
    with open(f"{folder}/updated-{number}", "w+") as file:
        file.write("0123456789")
        file.seek(3)
        file.write("abc")
        file.seek(0)
        print(number, file.read(), file.tell(), file=sys.stderr if number < 0 else file)
        file.truncate(8)
    fd = os.open(f"{folder}/low-{number}", os.O_CREAT | os.O_RDWR, 0o640)
    os.write(fd, b"written low")
    os.pwrite(fd, b"W", 0)
    os.ftruncate(fd, 7)
    os.fsync(fd)
    os.lseek(fd, 0, os.SEEK_SET)
    assert os.read(fd, 100) == b"Written", "a process sees its own writes"
    assert Path(folder, f"low-{number}").read_text() == "Written", "and so does who opens the file"
    os.close(fd)


def append(folder, number):
    for line in range(25):
        with open(f"{folder}/log", "a") as file:
            file.write(f"{number} {line}\n")
    handler = logging.FileHandler(f"{folder}/logging")
    logger = logging.Logger("of the program")
    logger.addHandler(handler)
    for line in range(25):
        logger.warning("%d %d", number, line)
    handler.close()
    fd = os.open(f"{folder}/raw", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for line in range(25):
        os.write(fd, f"{number} {line}\n".encode())
    os.close(fd)
    with open(f"{folder}/log", "a") as file:
        assert file.tell() >= 25 * 4


def locked(folder, number):
    """A counter under a lock file, replaced as a whole each time."""
    for _ in range(5):
        while True:
            try:
                os.close(os.open(f"{folder}/lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                time.sleep(0.001)
        count = int(Path(folder, "counter").read_text())
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            file.write(str(count + 1))
        os.replace(file.name, f"{folder}/counter")
        os.unlink(f"{folder}/lock")
    try:
        with open(f"{folder}/once", "x") as file:
            file.write("by one only")
        Path(folder, f"first-{os.getpid()}").touch()
    except FileExistsError:
        pass


def parts(folder, number):
    """Each process writes its own part of one file."""
    with open(f"{folder}/parts", "r+b") as file:
        file.seek(number * 10)
        file.write(bytes([65 + number]) * 10)
    rows = np.memmap(f"{folder}/rows", dtype=np.float64, mode="r+", shape=(PROCESSES, 50))
    rows[number] = number + 1
    rows.flush()
    every = np.memmap(f"{folder}/every", dtype=np.int16, mode="r+")
    every[number::PROCESSES] = number + 1
    del every
    with open(f"{folder}/mapped", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[number] = 48 + number


def tree(folder, number):
    base = Path(folder, f"tree-{number}")
    (base / "a" / "b").mkdir(parents=True)
    os.makedirs(base / "a", exist_ok=True)
    (base / "a" / "file").write_text("content")
    (base / "a" / "file").rename(base / "a" / "renamed")
    os.symlink("a/renamed", base / "link")
    os.link(base / "a" / "renamed", base / "hard")
    shutil.copytree(base / "a", base / "copied")
    shutil.copy2(base / "link", base / "followed")
    shutil.move(str(base / "copied" / "b"), str(base / "moved"))
    (base / "many").mkdir()
    for name in range(5):
        (base / "many" / str(name)).touch()
    shutil.rmtree(base / "many")
    os.chmod(base / "hard", 0o600)
    os.utime(base / "followed", (1_000_000_000, 1_234_567_890.5))
    os.rmdir(base / "moved")
    (base / "empty" / "inner").mkdir(parents=True)
    os.removedirs(base / "empty" / "inner")
    os.truncate(base / "hard", 3)
    with tempfile.TemporaryDirectory(dir=base) as inside, open(os.path.join(inside, "x"), "w") as file:
        file.write("gone with it")
    mask = os.umask(0o077)
    (base / "private").write_text("private")
    (base / "own").mkdir()
    os.umask(mask)


def base(folder, number):
    connection = sqlite3.connect(f"{folder}/data-{number}.db")
    with connection:
        connection.execute("create table t (n)")
        connection.executemany("insert into t values (?)", [(n,) for n in range(number, 100)])
    connection.execute("delete from t where n > 50")
    connection.commit()
    connection.close()


def killed(folder, number):
    """What was written is there, what was not flushed is not, and no lock is held."""
    fd = os.open(f"{folder}/low-killed-{number}", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"written at once")
    with open(f"{folder}/killed-{number}", "w") as file, open(f"{folder}/killed", "a") as together:
        fcntl.flock(file, fcntl.LOCK_EX)
        for _ in range(1000):
            print("flushed", file=file, flush=True)
        together.write("one line\n")
        together.flush()
        file.write("not flushed")
        os.kill(os.getpid(), signal.SIGKILL)


def left(folder):
    """What lies there, but for times."""
    for path in sorted(Path(folder).rglob("*")):
        found = path.lstat()
        kind, content = stat.filemode(found.st_mode), ""
        if path.is_symlink():
            content = "-> " + os.readlink(path)
        elif path.is_file() and path.suffix != ".db":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            content = f"{found.st_size} {digest} {found.st_nlink}"
        name = str(path.relative_to(folder))
        yield f"{kind} {name if not name.startswith('first-') else 'first'} {content}"


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "counter").write_text("0")
        Path(folder, "parts").write_bytes(b"." * PROCESSES * 10)
        Path(folder, "mapped").write_bytes(b"." * PROCESSES)
        np.memmap(f"{folder}/rows", dtype=np.float64, mode="w+", shape=(PROCESSES, 50)).flush()
        np.memmap(f"{folder}/every", dtype=np.int16, mode="w+", shape=(1000,)).flush()
        for kind in (own_files, append, locked, parts, tree, base, killed):
            processes = [mp.Process(target=kind, args=(folder, number)) for number in range(PROCESSES)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
                if kind is killed:
                    with open(f"{folder}/killed-{processes.index(process)}", "r+") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        print(len(file.readlines()))
            print(kind.__name__, [process.exitcode for process in processes])
        for name in ("log", "logging", "raw"):
            path = Path(folder, name)
            lines = path.read_text().splitlines()
            # Each process's own lines are in order.
            print(
                name,
                sorted(lines, key=lambda line: [int(part) for part in line.split()])
                == [f"{number} {line}" for number in range(PROCESSES) for line in range(25)],
                all([line for line in lines if line[0] == str(n)][7] == f"{n} 7" for n in range(PROCESSES)),
            )
            path.unlink()
        print(Path(folder, "counter").read_text(), Path(folder, "parts").read_bytes())
        print(
            np.fromfile(f"{folder}/rows").reshape(PROCESSES, 50).mean(1),
            np.fromfile(f"{folder}/every", np.int16)[:9],
        )
        for number in range(PROCESSES):
            connection = sqlite3.connect(f"{folder}/data-{number}.db")
            print(connection.execute("select count(*), sum(n) from t").fetchall())
            connection.close()
        print(os.stat(f"{folder}/tree-0/followed").st_mtime)
        print(*left(folder), sep="\n")
