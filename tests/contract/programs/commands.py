"""Commands that processes run on the program's files: they find what they are told of."""

import asyncio
import multiprocessing as mp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = """#!/bin/sh
cat "$1" >>"$2"
echo script
"""


def said(*args, **kw):
    return subprocess.run(*args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **kw).stdout


def failing(*args, **kw):
    try:
        return subprocess.run(*args, check=True, stderr=subprocess.DEVNULL, **kw).returncode
    except (OSError, subprocess.CalledProcessError) as error:
        return (
            type(error).__name__,
            getattr(error, "errno", None),
            getattr(error, "filename", None) or error.args,
        )


async def at_the_side(folder):
    process = await asyncio.create_subprocess_exec("cp", "text", "made/aside", cwd=folder)
    shell = await asyncio.create_subprocess_shell("cat text >/dev/null", cwd=folder)
    return await process.wait(), await shell.wait()


def work(folder):
    inside = {"cwd": folder}
    # By absolute paths, and by relative ones, of files and of directories.
    yield said(["cat", f"{folder}/text"]), said(["cat", "text"], **inside), said(["ls", "data"], **inside)
    yield said(["cat", os.fsencode(folder) + b"/text", Path(folder, "data", "deep", "one")])
    yield (
        said(f"cat {folder}/text | wc -l", shell=True),
        said("cat 'data/deep/one' text", shell=True, **inside),
    )
    with open(f"{folder}/text") as file:
        yield subprocess.check_output(["wc", "-l"], stdin=file)
    # What is made is there when the command has ended.
    yield subprocess.call(["cp", f"{folder}/text", f"{folder}/copied"]), Path(folder, "copied").read_text()
    yield subprocess.call("sort -r text >sorted; mkdir -p made/deep", shell=True, **inside)
    yield (
        Path(folder, "sorted").read_text(),
        os.listdir(f"{folder}/made"),
        os.path.isdir(f"{folder}/made/deep"),
    )
    yield subprocess.call(["sort", "-r", "text", f"--output={folder}/made/out"], **inside)
    yield Path(folder, "made", "out").read_text()
    # What is changed and removed as well; the rights of a file remain.
    yield (
        subprocess.call(["sh", "-c", 'echo more >>"$0"', f"{folder}/text"]),
        Path(folder, "text").read_text(),
    )
    yield subprocess.call(["rm", "-r", "copied", "data/deep"], **inside), sorted(os.listdir(f"{folder}/data"))
    yield said(["./script", "text", "script.out"], **inside), Path(folder, "script.out").read_text()
    yield (
        said([f"{folder}/script", f"{folder}/text", f"{folder}/script.out"]),
        os.access(f"{folder}/script", os.X_OK),
    )
    yield Path(folder, "script.out").read_text().count("more")
    # An interpreter's script, with the environment and the rest as ever.
    yield said([sys.executable, "echo.py", "words", "that", "are no files"], **inside)
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **inside
    ) as process:
        yield process.communicate("through pipes"), process.args, process.poll()
    yield os.system(f"test -e {folder}/text"), os.system(f"test -e {folder}/none") != 0
    os.chdir(folder)
    yield os.system("cp text by-system"), Path("by-system").read_text(), os.popen("cat text").read()
    os.chdir("/")
    yield asyncio.run(at_the_side(folder)), Path(folder, "made", "aside").read_text()
    os.symlink("nowhere", f"{folder}/data/dangling")
    os.symlink("loop", f"{folder}/data/loop")
    yield said(["cat", "data/two", "text"], **inside), said(["cat", "data/loop", "text"], **inside)
    for name in ("dangling", "loop"):
        os.unlink(f"{folder}/data/{name}")
    # And what goes wrong.
    yield failing(["cat", f"{folder}/none"])[0], failing(["true"], cwd=f"{folder}/none")
    yield (
        failing(["true"], cwd=f"{folder}/text"),
        failing([f"{folder}/none"]),
        failing([f"{folder}/text"])[:2],
    )
    yield failing(["no-such-command"]), failing(["false"])


def all_of(folder, queue):
    for line in work(folder):
        queue.put(str(line).replace(folder, "FOLDER"))
    queue.put(None)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text").write_text("one\ntwo\n")
        Path(folder, "data", "deep").mkdir(parents=True)
        Path(folder, "data", "deep", "one").write_text("deep down")
        Path(folder, "data", "two").touch()
        Path(folder, "script").write_text(SCRIPT)
        Path(folder, "script").chmod(0o755)
        Path(folder, "echo.py").write_text("import sys; print(sys.argv)")
        queue = mp.SimpleQueue()
        process = mp.Process(target=all_of, args=(folder, queue))
        process.start()
        for line in iter(queue.get, None):
            print(line)
        process.join()
        for path in sorted(Path(folder).rglob("*")):
            print(path.relative_to(folder), path.is_dir(), path.is_file() and path.read_bytes())
