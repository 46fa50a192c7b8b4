"""What goes wrong with files, as processes see it."""

import multiprocessing as mp
import os
import shutil
import sys
import tempfile
from pathlib import Path


def attempts(folder):
    yield lambda: open(f"{folder}/none")
    yield lambda: open(f"{folder}/none", "r+b")
    yield lambda: open(f"{folder}/none/inner", "w")
    yield lambda: open(folder)
    yield lambda: open(folder, "w")
    yield lambda: open(f"{folder}/file", "x")
    yield lambda: open(f"{folder}/file/inner")
    yield lambda: open(f"{folder}/file", "q")
    yield lambda: open(f"{folder}/file", "rb", encoding="utf-8")
    yield lambda: open(f"{folder}/file", buffering=0)
    yield lambda: open(f"{folder}/file", encoding="utf-8").write("x")
    yield lambda: open(f"{folder}/file", "wb").read()
    yield lambda: open(f"{folder}/latin", encoding="utf-8").read()
    yield lambda: open(f"{folder}/nul\0inside")
    yield lambda: open("")
    yield lambda: open(f"{folder}/{'n' * 300}", "w")
    yield lambda: open(f"{folder}/loop")
    yield lambda: open(f"{folder}/dangling")
    yield lambda: open(Path(folder, "none"))
    yield lambda: open(os.fsencode(folder) + b"/none")
    yield lambda: open(12345)
    yield lambda: os.open(f"{folder}/none", os.O_RDONLY)
    yield lambda: os.open(f"{folder}/file", os.O_RDONLY | os.O_DIRECTORY)
    yield lambda: os.write(os.open(f"{folder}/file", os.O_RDONLY), b"x")
    yield lambda: os.read(os.open(f"{folder}/file", os.O_WRONLY), 1)
    yield lambda: os.stat(f"{folder}/none")
    yield lambda: os.lstat(f"{folder}/file/inner")
    yield lambda: os.listdir(f"{folder}/file")
    yield lambda: os.scandir(f"{folder}/none")
    yield lambda: os.mkdir(folder)
    yield lambda: os.mkdir(f"{folder}/none/inner")
    yield lambda: os.makedirs(f"{folder}/file/inner")
    yield lambda: os.rmdir(f"{folder}/full")
    yield lambda: os.rmdir(f"{folder}/file")
    yield lambda: os.remove(f"{folder}/none")
    yield lambda: os.remove(f"{folder}/full")
    yield lambda: os.rename(f"{folder}/none", f"{folder}/other")
    yield lambda: os.rename(f"{folder}/file", f"{folder}/full")
    yield lambda: os.replace(f"{folder}/full", f"{folder}/file")
    yield lambda: os.link(f"{folder}/file", f"{folder}/full/inner")
    yield lambda: os.symlink("x", f"{folder}/file")
    yield lambda: os.readlink(f"{folder}/file")
    yield lambda: os.utime(f"{folder}/none")
    yield lambda: os.chmod(f"{folder}/none", 0o600)
    yield lambda: os.truncate(f"{folder}/none", 1)
    yield lambda: os.chdir(f"{folder}/file")
    yield lambda: shutil.rmtree(f"{folder}/none")
    yield lambda: shutil.copy(f"{folder}/none", f"{folder}/other")
    yield lambda: Path(folder, "none").read_text()
    yield lambda: Path(folder, "none").resolve(strict=True)
    yield lambda: os.path.getsize(f"{folder}/none")
    yield lambda: os.stat(f"{folder}/file", dir_fd=None, follow_symlinks=True, nonsense=1)
    yield lambda: os.stat()
    yield lambda: open()
    yield lambda: open("/nowhere/at/all")
    yield lambda: os.listdir("/nowhere")
    yield lambda: os.path.exists(f"{folder}/full/inner/none")
    yield lambda: open(f"{folder}/closed", "w").close() or os.path.getsize(f"{folder}/closed")


def attempt(folder):
    said = []
    for number, each in enumerate(attempts(folder)):
        try:
            said.append((number, "fine", each()))
        except Exception as error:
            names = [str(getattr(error, name, None)) for name in ("errno", "filename", "filename2")]
            said.append((number, type(error).__name__, *(name.replace(folder, "FOLDER") for name in names)))
            if not isinstance(error, (OSError, TypeError)):
                said.append(str(error))
    return said


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    # Files that an attempt leaves open say so.
    sys.stderr = open(os.devnull, "w")
    with tempfile.TemporaryDirectory() as folder, mp.Pool(1) as pool:
        Path(folder, "file").write_text("content")
        Path(folder, "latin").write_bytes(b"\xff\xfe\xfd")
        Path(folder, "full").mkdir()
        Path(folder, "full", "inner").touch()
        os.symlink("loop", f"{folder}/loop")
        os.symlink("none", f"{folder}/dangling")
        for line in pool.apply(attempt, (folder,)):
            print(line)
        print(sorted(os.listdir(folder)), os.path.getsize(f"{folder}/file"))
