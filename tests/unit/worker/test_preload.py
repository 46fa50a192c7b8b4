from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from transparent_mp.worker import preload


def test_what_was_imported_of_the_standard_library(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "the_programs_own.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("colorsys", "the_programs_own", "this_is_no_module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    since = preload.last_imported()
    import colorsys  # noqa: F401

    import the_programs_own  # type: ignore[import-not-found]  # noqa: F401

    monkeypatch.setitem(sys.modules, "this_is_no_module", None)
    assert preload.imported(since) == ["colorsys"]


@pytest.mark.parametrize("name", ["pytest", "__main__"])
def test_what_is_installed_or_the_program_is_not_of_it(name: str) -> None:
    assert name in sys.modules
    assert name not in preload.imported("")


def test_modules_that_act_are_left_alone(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import test

    monkeypatch.setitem(sys.modules, "test", test)
    assert "test" not in preload.imported("")


def test_a_module_that_cannot_be_imported_is_each_processs_own_matter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "transparent_mp"):
        preload.also("there_is_no_such_module")
    assert "there_is_no_such_module" in caplog.text


IN_A_PROCESS = """
import os, sys
from transparent_mp.worker import preload
preload.AHEAD = frozenset({"large", "elsewhere"})
said = []
preload.tell_ahead(said.append)
sys.path.append("later")
os.environ["OMP_NUM_THREADS"] = "3"
import large.deep.inner, elsewhere
print([[word for word in words if word.startswith(("OMP_", "large", "else"))] for words in said])
"""


def test_a_large_package_is_told_of_as_it_was_imported(tmp_path: Path) -> None:
    for folder in ("large/deep", "large/own", "later"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "large" / "__init__.py").write_text("import large.own, large.deep\n")
    for file in (
        "large/own/__init__.py",
        "large/deep/__init__.py",
        "large/deep/inner.py",
        "later/elsewhere.py",
    ):
        (tmp_path / file).touch()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-c", IN_A_PROCESS]
    out = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    ).stdout
    # What is not on the supervisor's path it would not find, or find another.
    assert out == "[['OMP_NUM_THREADS=3', 'large', 'large.own', 'large.deep']]\n"


def test_a_variable_is_set_until_a_large_package_has_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(preload, "AHEAD", frozenset({"no_such_package"}))
    preload.also("OMP_NUM_THREADS=3")
    assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.setattr(preload, "AHEAD", frozenset({"sys"}))
    preload.also("OMP_NUM_THREADS=4")
    assert os.environ["OMP_NUM_THREADS"] == "3"


class Kept:
    """Stands for the lease that is kept meanwhile."""

    def __init__(self) -> None:
        self.times = 0

    def __enter__(self) -> None:
        self.times += 1

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kept:
    """A large package on this path that is not there at the sender's."""
    monkeypatch.setattr(preload, "AHEAD", frozenset({"large_one"}))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "large_one").mkdir()
    (tmp_path / "large_one" / "__init__.py").touch()
    (tmp_path / "large_one" / "part.py").touch()
    for name in ("large_one", "large_one.part"):
        # Taken away again, whoever imports it.
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
        monkeypatch.delitem(sys.modules, name)
    return Kept()


def test_what_a_process_refers_to_is_imported_before_its_fork(kept: Kept) -> None:
    imports = preload.Imports(lambda: kept)
    wanted = preload.Wanted(
        [], {"large_one": "/no/such", "large_one.part": "/no/such", "colorsys": "/no/such"}
    )
    assert imports.now(wanted)
    assert kept.times == 1
    assert "large_one.part" in sys.modules
    assert not imports.now(wanted)


def test_a_package_that_a_process_has_from_elsewhere_is_not(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "another.py").touch()
    assert not preload.Imports(lambda: kept).now(
        preload.Wanted([], {"large_one": str(tmp_path / "another.py")})
    )
    assert "large_one" not in sys.modules


def test_what_waits_is_imported_one_by_one(kept: Kept) -> None:
    imports = preload.Imports(lambda: kept)
    imports.wait += ["large_one", "sys"]
    assert [imports.next(), imports.next()] == [True, False]
    assert (imports.wait, kept.times) == ([], 1)


def test_processes_draw_their_own_numbers() -> None:
    random = pytest.importorskip("numpy.random")
    state = random.get_state()
    drawn = []
    for _ in range(2):
        random.set_state(state)
        preload.renew()
        drawn.append(random.random())
    assert drawn[0] != drawn[1]
