from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Callable

import pytest

import transparent_mp

ROOT = Path(transparent_mp.__file__).resolve().parent.parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]

APP = """
    import atexit, json, os, pickle, sys

    def function():
        pass

    def at_exit():
        assert pickle.loads(pickle.dumps(function)) is function
        print("pickled at exit")

    atexit.register(at_exit)
    if __name__ == "__main__":
        print(json.dumps({
            "argv": sys.argv,
            "pid": os.getpid(),
            "path": sys.path[0],
            "spec": __spec__ and __spec__.name,
            "ours": any(type(finder).__module__.startswith("transparent_mp") for finder in sys.meta_path),
            "flags": [sys.flags.optimize, sys.flags.dev_mode, sys.flags.dont_write_bytecode],
            "warnings": sys.warnoptions,
            "xoptions": sys._xoptions,
            "unbuffered": not hasattr(sys.stdout.buffer, "raw"),
        }))
    """


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `python -m transparent_mp` in a directory with app.py in it."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))

    def run(
        *arguments: str,
        flags: tuple[str, ...] = (),
        own: tuple[str, ...] = ("-m", "transparent_mp"),
        cwd: Path = tmp_path,
        **environ: str,
    ) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
        return subprocess.run(
            [sys.executable, *flags, *own, *arguments],
            env={**clean, "PYTHONPATH": str(ROOT), **environ},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def seen(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert last == "pickled at exit"
    result: dict[str, object] = json.loads(first)
    assert result["ours"] is True
    return result


def test_program_is_main_with_its_own_arguments(run: Run, tmp_path: Path) -> None:
    app = seen(run("app.py", "-m", "--flag", "x y", ""))
    assert app["argv"] == ["app.py", "-m", "--flag", "x y", ""]
    assert (app["spec"], app["path"]) == (None, os.path.realpath(tmp_path))


def test_module_is_main(run: Run, tmp_path: Path) -> None:
    app = seen(run("-m", "app", "-c", "x"))
    assert app["argv"] == [os.path.join(os.path.realpath(tmp_path), "app.py"), "-c", "x"]
    assert app["spec"] == "app"


def test_code_is_main(run: Run) -> None:
    app = seen(run("-c", textwrap.dedent(APP), "-m", "x"))
    assert (app["argv"], app["path"]) == (["-c", "-m", "x"], "")


def test_joined_forms_are_python_s_own(run: Run) -> None:
    assert run("-cprint(6 * 7)").stdout == "42\n"
    assert seen(run("-mapp", "x"))["spec"] == "app"


def test_it_is_the_same_process(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os; print(os.getpid())")
    with subprocess.Popen(
        [sys.executable, "-m", "transparent_mp", "app.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.communicate(timeout=60)[0] == f"{process.pid}\n"


FLAGS = ("-X", "dev", "-W", "ignore::UserWarning", "-O", "-u", "-B", "-Xutf8=1")


@pytest.mark.parametrize(
    "own", [("-m", "transparent_mp"), ("-mtransparent_mp",), ("-m", "transparent_mp.__main__")], ids=" ".join
)
def test_flags_are_kept(run: Run, own: tuple[str, ...]) -> None:
    app = seen(run("app.py", flags=FLAGS, own=own))
    assert app["flags"] == [1, True, 1]
    assert "ignore::UserWarning" in app["warnings"]  # type: ignore[operator]
    assert app["unbuffered"] is True
    assert app["xoptions"].keys() == {"dev", "utf8"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("own", [("-Bm", "transparent_mp"), ("-Bmtransparent_mp",)], ids=" ".join)
def test_flags_joined_to_ours_are_kept(run: Run, own: tuple[str, ...]) -> None:
    app = seen(run("app.py", "transparent_mp", flags=("-O",), own=own))
    assert app["flags"] == [1, False, 1]
    assert app["argv"] == ["app.py", "transparent_mp"]


def test_run_by_its_path(run: Run) -> None:
    app = seen(run("app.py", "x", flags=("-O",), own=(str(ROOT / "transparent_mp"),)))
    assert (app["argv"], app["flags"]) == (["app.py", "x"], [1, False, 0])


def test_exit_status_is_the_program_s(run: Run) -> None:
    assert run("-c", "raise SystemExit(7)").returncode == 7


def test_interpreters_started_by_the_program_inherit_it(run: Run) -> None:
    code = (
        "import subprocess, sys;"
        "code = 'import sys; print([type(f).__module__ for f in sys.meta_path][0])';"
        "subprocess.run([sys.executable, '-c', code], check=True, cwd='/')"
    )
    done = run("-c", code)
    assert (done.stdout, done.stderr) == ("transparent_mp.intercept.finder\n", "")


def test_python_path_is_kept_and_not_grown_by_each_level(run: Run, tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ.get('PYTHONPATH', ''))"
    present = os.pathsep.join(["", str(tmp_path / "theirs"), str(ROOT)])
    once = run("-c", code, PYTHONPATH=present).stdout.strip()
    assert once.endswith(present)
    code = (
        f"import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'transparent_mp', '-c', {code!r}])"
    )
    assert run("-c", code, PYTHONPATH=present).stdout.strip() == once


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package as `pip --target` leaves it, next to someone's modules that must not be hidden."""
    target = tmp_path / "target"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "transparent_mp", target / "transparent_mp", ignore=ignore)
    if (ROOT / "sitecustomize").is_dir():
        shutil.copytree(ROOT / "sitecustomize", target / "transparent_mp" / "door")
    (target / "shadow.py").write_text("WHERE = 'target'")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "shadow.py").write_text("WHERE = 'theirs'")
    return target


def test_package_that_is_not_installed_hides_nothing(run: Run, copied: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import shadow, transparent_mp as t; print(shadow.WHERE, t.__file__)")
    done = run(str(tmp_path / "app.py"), cwd=copied, PYTHONPATH=str(tmp_path / "theirs"))
    assert done.stderr == ""
    assert done.stdout.split() == ["theirs", str(copied / "transparent_mp" / "__init__.py")]


@pytest.mark.parametrize("flag", ["-E", "-Es"])
def test_ignored_python_path_is_refused_unless_installed(run: Run, copied: Path, flag: str) -> None:
    done = run("app.py", flags=(flag,), cwd=copied)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("transparent_mp: -E and -I need transparent_mp installed: PYTHONPATH is ignored\n")


@pytest.mark.parametrize("arguments", [(), ("-m",), ("-c",), ("-u", "app.py"), ("--nonsense",)], ids=" ".join)
def test_no_program_is_a_usage_error(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "usage: python [flags] -m transparent_mp (app.py | -m module | -c code | -) [args ...]"
    ]


def test_help(run: Run) -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


def test_program_that_is_not_there_is_python_s_own_error(run: Run) -> None:
    done = run("missing.py")
    assert done.returncode == 2
    assert "can't open file" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRANSPARENT_MP_WORKERS", "zero"),
        ("TRANSPARENT_MP_BACKEND", "cloud"),
        ("TRANSPARENT_MP_REDIS_URL", "http://:secret@host"),
        ("TRANSPARENT_MP_LOG", "shout"),
    ],
)
def test_bad_setting_is_one_line_and_status_2(run: Run, name: str, value: str) -> None:
    done = run("-c", "print('ran')", **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"transparent_mp: {name}")
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


def test_without_site_it_is_refused(run: Run) -> None:
    done = run("app.py", flags=("-S",))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "transparent_mp: python -S skips what switches us on: leave -S out\n"
