from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Callable

import pytest

import transparent_mp
from transparent_mp.intercept import OFF, ON

ROOT = Path(transparent_mp.__file__).resolve().parent.parent
#: In a wheel the door lies in the package, and the line beside it.
SHIPPED = ROOT / "transparent_mp" / "door"
DOOR = SHIPPED if SHIPPED.is_dir() else ROOT / "sitecustomize"
LINE = (ROOT if SHIPPED.is_dir() else DOOR) / "transparent_mp.pth"

MODULES = "import sys; print(*sys.modules)"
HOOKED = (
    "import sys; print(sum(type(f).__module__ == 'transparent_mp.intercept.finder' for f in sys.meta_path))"
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def interpreter(executable: Path | str, *flags: str, cwd: Path, **always: str) -> Run:
    def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
        return subprocess.run(
            [str(executable), *flags, "-c", code],
            env={**clean, **always, **environ},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def make_venv(home: Path) -> Path:
    venv.create(home, with_pip=False, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    return packages


@pytest.fixture(scope="session")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in which the package lies as its wheel puts it there."""
    packages = make_venv(tmp_path_factory.mktemp("venv"))
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "transparent_mp", packages / "transparent_mp", ignore=ignore)
    if not SHIPPED.is_dir():
        shutil.copytree(DOOR, packages / "transparent_mp" / "door", ignore=ignore)
        (packages / "transparent_mp" / "door" / "transparent_mp.pth").unlink()
    shutil.copy(LINE, packages)
    # A second copy of the line runs as it does where site-packages are read twice.
    shutil.copy(LINE, packages / "zz_again.pth")
    return packages


@pytest.fixture
def installed(site_packages: Path, tmp_path: Path) -> Run:
    return interpreter(site_packages.parents[2] / "bin" / "python", cwd=tmp_path)


@pytest.fixture
def by_path(tmp_path: Path) -> Run:
    """The directory on PYTHONPATH, and nothing else of ours."""
    return interpreter(sys.executable, cwd=tmp_path, PYTHONPATH=str(DOOR))


@pytest.fixture(params=["installed", "by_path"])
def door(request: pytest.FixtureRequest) -> Run:
    run: Run = request.getfixturevalue(request.param)
    return run


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("off", [None, *OFF, " Off "])
def test_off_means_absent(door: Run, off: str | None) -> None:
    environ = {} if off is None else {"TRANSPARENT_MP": off}
    modules = output(door(MODULES, **environ)).split()
    assert [name for name in modules if name.startswith("transparent_mp")] == []
    assert output(door(HOOKED, **environ)) == "0"


def test_off_imports_nothing_that_plain_python_does_not(installed: Run, by_path: Run, tmp_path: Path) -> None:
    here = set(output(interpreter(sys.executable, cwd=tmp_path)(MODULES)).split())
    assert set(output(by_path(MODULES)).split()) - here <= {"sitecustomize"}
    # To read any line costs a codec.
    (make_venv(tmp_path / "plain") / "someones.pth").write_text("import sys\n")
    plain = set(output(interpreter(tmp_path / "plain" / "bin" / "python", cwd=tmp_path)(MODULES)).split())
    assert set(output(installed(MODULES)).split()) == plain


@pytest.mark.parametrize("settings", [{}, {"TRANSPARENT_MP_WORKERS": "4", "TRANSPARENT_MP_LOG": "debug"}])
def test_on_imports_at_most_ten_modules_more(door: Run, settings: dict[str, str]) -> None:
    off = set(output(door(MODULES, TRANSPARENT_MP="")).split())
    on = set(output(door(MODULES, TRANSPARENT_MP="1", **settings)).split())
    assert off <= on
    assert "transparent_mp.intercept.finder" in on - off
    # One for `sitecustomize` itself, which is there in the case that is subtracted.
    assert len(on - off) + 1 <= 10, sorted(on - off)


@pytest.mark.parametrize("switch", [*ON, " TRUE "])
def test_on_is_installed_once(door: Run, switch: str) -> None:
    assert output(door(HOOKED, TRANSPARENT_MP=switch)) == "1"


def test_both_doors_are_as_one(installed: Run, site_packages: Path) -> None:
    both = str(site_packages / "transparent_mp" / "door")
    assert output(installed(HOOKED, TRANSPARENT_MP="1", PYTHONPATH=both)) == "1"
    assert (
        output(installed(HOOKED, TRANSPARENT_MP="1", PYTHONPATH=os.pathsep.join([both, str(DOOR), both])))
        == "1"
    )


def test_third_door_leaves_the_first_to_do_the_work(installed: Run) -> None:
    code = (
        "import os, subprocess, sys;"
        'code = \'import os; print(os.environ.get("PYTHONPATH"), os.environ["TRANSPARENT_MP"]);\' + '
        + repr(HOOKED)
        + ";"
        "subprocess.run([sys.executable, '-I', '-m', 'transparent_mp', '-c', code], check=True)"
    )
    assert output(installed(code)) == "None 1\n1"


def test_interpreters_started_by_the_program_inherit_it(door: Run) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOOKED!r}], check=True)"
    assert output(door(code, TRANSPARENT_MP="1")) == "1"


def test_unknown_switch_is_one_line_and_status_2(door: Run) -> None:
    done = door("print('ran')", TRANSPARENT_MP="perhaps")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "transparent_mp: TRANSPARENT_MP='perhaps' is unknown: use 1 to switch on, 0 to switch off\n"
    )


def test_bad_setting_is_one_line_and_status_2(door: Run) -> None:
    done = door("import multiprocessing; print('ran')", TRANSPARENT_MP="1", TRANSPARENT_MP_LINGER="soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "transparent_mp: TRANSPARENT_MP_LINGER='soon' must be a number of seconds above 0\n"
    )


def test_doors_know_the_words_for_off() -> None:
    words = "(" + ", ".join(f'"{word}"' for word in OFF) + ")"
    assert words in LINE.read_text()
    assert words in (DOOR / "sitecustomize.py").read_text()


def test_the_line_is_one_line() -> None:
    # `site` runs lines that begin so, and takes any other for a directory.
    assert LINE.read_text().startswith("import ")
    assert LINE.read_text().count("\n") == 1


class TestNextSiteCustomize:
    @pytest.fixture
    def theirs(self, tmp_path: Path) -> Path:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        return theirs

    @pytest.fixture
    def run(self, tmp_path: Path, theirs: Path) -> Run:
        path = os.pathsep.join([str(DOOR), str(DOOR), str(theirs)])
        return interpreter(sys.executable, cwd=tmp_path, PYTHONPATH=path)

    @pytest.mark.parametrize("switch", ["", "1"])
    def test_it_runs_as_itself(self, run: Run, theirs: Path, switch: str) -> None:
        (theirs / "sitecustomize.py").write_text("import sys\nME = sys.modules[__name__]\n")
        code = "import sitecustomize as s; print(s.__name__, s.__file__, s.__spec__.origin, s.ME is s)"
        file = str(theirs / "sitecustomize.py")
        assert output(run(code, TRANSPARENT_MP=switch)).split() == [
            "sitecustomize",
            file,
            file,
            "True",
        ]
        assert output(run(HOOKED, TRANSPARENT_MP=switch)) == switch or "0"

    def test_it_runs_before_us(self, run: Run, theirs: Path) -> None:
        (theirs / "sitecustomize.py").write_text("import os; os.environ['TRANSPARENT_MP'] = '1'")
        assert output(run(HOOKED)) == "1"

    @pytest.mark.parametrize(
        "text", ["raise ValueError('theirs')", "import no_such_thing", "def", "import sitecustomize.sub"]
    )
    @pytest.mark.parametrize("switch", ["", "1"])
    def test_its_failures_report_as_they_natively_do(
        self, run: Run, theirs: Path, tmp_path: Path, text: str, switch: str
    ) -> None:
        (theirs / "sitecustomize.py").write_text(text)
        code = "import sys; print('sitecustomize' in sys.modules)"
        natively = interpreter(sys.executable, cwd=tmp_path, PYTHONPATH=str(theirs))(code)
        chained = run(code, TRANSPARENT_MP=switch)
        assert natively.stderr
        assert (chained.returncode, chained.stdout, chained.stderr) == (0, natively.stdout, natively.stderr)
        assert run(HOOKED, TRANSPARENT_MP=switch).stdout.strip() == (switch or "0")

    def test_directory_of_that_name_is_none(self, run: Run, theirs: Path) -> None:
        (theirs / "sitecustomize").mkdir()
        code = "import sitecustomize; print(sitecustomize.__file__)"
        assert output(run(code)) == str(DOOR / "sitecustomize.py")
