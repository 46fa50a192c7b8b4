"""Files beyond permission, files that vanish, and paths that are nobody's, as processes see them."""

import multiprocessing as mp
import os
import shutil
import sys
import tempfile
from pathlib import Path

NOBODY = 65534


def nothing():
    pass


def attempts(folder):
    yield lambda: open(f"{folder}/secret")
    yield lambda: open(f"{folder}/secret", "w")
    yield lambda: open(f"{folder}/readable", "a")
    yield lambda: os.open(f"{folder}/secret", os.O_RDONLY)
    yield lambda: Path(folder, "readable").write_text("no")
    yield lambda: open(f"{folder}/readable").read()
    yield lambda: open(f"{folder}/new", "w")
    yield lambda: open(f"{folder}/closed/inside")
    yield lambda: os.stat(f"{folder}/closed/inside")
    yield lambda: os.path.exists(f"{folder}/closed/inside")
    yield lambda: os.listdir(f"{folder}/closed")
    yield lambda: list(os.walk(f"{folder}/closed"))
    yield lambda: os.mkdir(f"{folder}/new")
    yield lambda: os.makedirs(f"{folder}/new/deep")
    yield lambda: os.remove(f"{folder}/readable")
    yield lambda: os.rename(f"{folder}/readable", f"{folder}/other")
    yield lambda: os.rmdir(f"{folder}/closed")
    yield lambda: os.chmod(f"{folder}/readable", 0o777)
    yield lambda: os.utime(f"{folder}/readable")
    yield lambda: os.truncate(f"{folder}/readable", 0)
    yield lambda: os.symlink("x", f"{folder}/link")
    yield lambda: os.chdir(f"{folder}/closed")
    yield lambda: shutil.copy(f"{folder}/secret", f"{folder}/copy")
    yield lambda: shutil.rmtree(f"{folder}/closed")
    # Under no directory of the program's.
    yield lambda: open("/nowhere/file")
    yield lambda: open("/nowhere/file", "w")
    yield lambda: os.listdir("/nowhere")
    yield lambda: open("/proc/self/none")


def said(attempt, folder):
    try:
        return "fine", str(attempt())
    except Exception as error:
        names = [
            str(getattr(error, name, None)).replace(folder, "FOLDER") for name in ("filename", "filename2")
        ]
        return type(error).__name__, error.errno, *names


def refused(folder, queue):
    for number, attempt in enumerate(attempts(folder)):
        queue.put((number, *said(attempt, folder)))
    queue.put(None)


def vanished(folder, end):
    path = f"{folder}/vanishing"
    held = open(path)
    end.send(held.read(3))
    end.recv()
    # Who has it open reads on; nobody opens it again.
    end.send(held.read())
    for attempt in (
        lambda: open(path),
        lambda: open(path, "r+"),
        lambda: os.stat(path),
        lambda: os.remove(path),
    ):
        end.send(said(attempt, folder))
    for attempt in (lambda: os.listdir(f"{folder}/gone"), lambda: open(f"{folder}/gone/file", "w")):
        end.send(said(attempt, folder))
    held.close()


def without_rights(folder):
    """As nobody, if this is a program of root's, who may do everything."""
    queue = mp.SimpleQueue()
    Path(folder, "secret").write_text("secret")
    Path(folder, "secret").chmod(0)
    Path(folder, "readable").write_text("to be read")
    Path(folder, "readable").chmod(0o444)
    Path(folder, "closed").mkdir()
    Path(folder, "closed", "inside").touch()
    Path(folder, "closed").chmod(0)
    Path(folder).chmod(0o555)
    # Whatever is to run the next process is there, with its own rights.
    first = mp.Process(target=nothing)
    first.start()
    first.join()
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    process = mp.Process(target=refused, args=(folder, queue))
    process.start()
    for line in iter(queue.get, None):
        print(line)
    process.join()
    if root:
        os.seteuid(0)
    for name in ("", "closed"):
        Path(folder, name).chmod(0o755)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    sys.stderr = open(os.devnull, "w")
    with tempfile.TemporaryDirectory() as folder:
        without_rights(folder)
        print(sorted(os.listdir(folder)), Path(folder, "readable").read_text())
        Path(folder, "vanishing").write_text("text that vanishes")
        Path(folder, "gone").mkdir()
        mine, theirs = mp.Pipe()
        process = mp.Process(target=vanished, args=(folder, theirs))
        process.start()
        print(mine.recv())
        os.remove(f"{folder}/vanishing")
        os.rmdir(f"{folder}/gone")
        mine.send("gone")
        for _ in range(7):
            print(mine.recv())
        process.join()
