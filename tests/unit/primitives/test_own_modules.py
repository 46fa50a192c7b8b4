from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import pytest

from transparent_mp.primitives import own_modules, reduction


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Import a module of the program's own, made of the text given."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)
        return __import__(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_own_is_what_the_program_brought(make):
    assert own_modules.is_own(make("tmp_own_a", ""))
    for name in ("json", "sys", "pytest", "cloudpickle", "transparent_mp", "__main__"):
        assert not own_modules.is_own(sys.modules[name]), name
    assert not own_modules.is_own(types.ModuleType("no_file"))


def test_what_was_installed_beside_it_is_not(make, tmp_path):
    (tmp_path / "tmp_dist-1.0.dist-info").mkdir()
    (tmp_path / "tmp_dist-1.0.dist-info" / "RECORD").write_text(
        "tmp_installed/__init__.py,sha256=x,0\ntmp_single.py,sha256=x,0\n"
    )
    (tmp_path / "tmp_installed").mkdir()
    for name in ("__init__.py", "inner.py"):
        (tmp_path / "tmp_installed" / name).touch()
    own_modules._installed_in.cache_clear()
    assert own_modules.is_own(make("tmp_beside", ""))
    assert not own_modules.is_own(make("tmp_single", ""))
    package = __import__("tmp_installed.inner")
    assert not own_modules.is_own(package)
    assert not own_modules.is_own(package.inner)


def test_data_is_what_may_have_changed_since_the_import(make):
    module = make(
        "tmp_own_b",
        "import threading, re, json\nn, d, lock, marker = 1, {}, threading.Lock(), object()\n"
        "pattern = re.compile('')\n"
        "def f(): pass\nclass C: pass\n__version__ = '1'\nc = C()",
    )
    assert set(own_modules.data_globals(module)) == {"n", "d", "c"}
    own = own_modules.own_data()
    assert set(own["tmp_own_b"]) == {"n", "d", "c"}
    homes = own_modules.homes(own)
    assert homes[id(module.d)] == ("tmp_own_b", "d")
    assert id(module.n) not in homes


def test_made_late_is_what_the_modules_code_does_not_name(make):
    module = make(
        "tmp_own_e",
        "class Early: pass\ndef f(): pass\n"
        "def create(n, b):\n    globals()[n] = type(n, (b,), {'__module__': __name__})",
    )
    module.create("Late", dict)
    assert own_modules.made_late(module.Late)
    assert not own_modules.made_late(module.Early)
    assert not own_modules.made_late(module.f)
    assert not own_modules.made_late(Path)
    assert own_modules.late_classes([module]) == [module.Late]


def test_late_classes_are_made_only_where_the_import_lacks_them(make):
    module = make(
        "tmp_own_f", "def create(n):\n    globals()[n] = type(n, (), {'__module__': __name__, 'x': n})"
    )
    module.create("Late")
    data = reduction.dumps([module.Late, module.Late()])
    assert pickle.loads(data)[0] is module.Late
    del module.Late
    made, instance = pickle.loads(data)
    assert made is module.Late is type(instance)
    assert made.x == "Late"


def test_stars_and_missing_code_are_given_the_benefit_of_the_doubt(make):
    star = make("tmp_own_g", "from json import *\n")
    star.Odd = type("Odd", (), {"__module__": "tmp_own_g"})
    assert not own_modules.made_late(star.Odd)


def test_own_modules_are_looked_for_again_only_when_something_was_imported(make, monkeypatch):
    make("tmp_own_x", "n = 1")
    own_modules.own_data()
    looked = []
    is_own = own_modules.is_own
    monkeypatch.setattr(own_modules, "is_own", lambda module: looked.append(module) or is_own(module))
    sys.modules["tmp_own_x"].n = 2
    assert own_modules.own_data()["tmp_own_x"] == {"n": 2}
    assert not looked
    make("tmp_own_y", "n = 3")
    assert own_modules.own_data()["tmp_own_y"] == {"n": 3}
    monkeypatch.setitem(sys.modules, "tmp_own_y", types.ModuleType("tmp_own_y"))
    assert "tmp_own_y" not in own_modules.own_data()


def test_a_module_that_was_replaced_is_looked_at_again(make, monkeypatch):
    make("tmp_replaced", "")
    assert "tmp_replaced" in own_modules.own_names()
    monkeypatch.setitem(sys.modules, "tmp_replaced", types.ModuleType("tmp_replaced"))
    assert "tmp_replaced" not in own_modules.own_names()
    # What is answered is the caller's.
    own_modules.own_names().append("tmp_never")
    assert "tmp_never" not in own_modules.own_names()
