from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import far_side
import pytest

from transparent_mp.ship import modules
from transparent_mp.worker import importer


@pytest.fixture
def far(tmp_path, monkeypatch):
    """Run code on the far side, with `files` importable at the client: its `result`, and what was asked."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(code, **files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        # Who has listed the directory in the same tick of the file system's clock would not look again.
        importlib.invalidate_caches()
        return far_side.exchange({"code": textwrap.dedent(code)})

    return run


def test_modules_and_packages_import_with_names_and_files_of_the_client(far, tmp_path):
    result, _ = far(
        """
        import app_mod, pkg.sub.deep, inspect
        from pkg import shallow
        result = (app_mod.x, pkg.sub.deep.y, shallow.z, app_mod.__file__, inspect.getsource(app_mod.f),
                  pkg.__path__, pkg.sub.deep.__package__)
        """,
        **{
            "app_mod.py": "# -*- coding: latin-1 -*-\nx = 'caf\xe9'\ndef f():\n    return x\n".encode(
                "latin-1"
            ),
            "pkg/__init__.py": "",
            "pkg/shallow.py": "from .sub import deep\nz = deep.y",
            "pkg/sub/__init__.py": "",
            "pkg/sub/deep.py": "y = 2",
        },
    )
    x, y, z, file, source, path, package = result
    assert (x, y, z, package) == ("café", 2, 2, "pkg.sub")
    assert file == str(tmp_path / "app_mod.py")
    assert source == "def f():\n    return x\n"
    assert path == [str(tmp_path / "pkg")]


def test_a_package_of_200_modules_takes_few_round_trips(far):
    files = {f"big/part{n % 9}/m{n}.py": f"n = {n}" for n in range(200)}
    inits = {f"big/part{n}/__init__.py": "" for n in range(9)}
    code = """
        import importlib
        result = sum(importlib.import_module(f"big.part{n % 9}.m{n}").n for n in range(200))
        try:
            from big import _speedups
        except ImportError:
            result += 1
        """
    result, asked = far(code, **{"big/__init__.py": "", **inits, **files})
    assert result == sum(range(200)) + 1
    assert len(asked) <= 5


def test_what_the_client_lacks_is_asked_once_and_some_names_never(far):
    result, asked = far(
        """
        import json
        result = []
        names = "nowhere nowhere distutils_none json.nothing xml.nothing transparent_mp.nothing"
        for name in names.split():
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                result.append(error.name)
        """
    )
    assert result == [
        "nowhere",
        "nowhere",
        "distutils_none",
        "json.nothing",
        "xml.nothing",
        "transparent_mp.nothing",
    ]
    assert [request["name"] for _, request in asked] == ["nowhere", "distutils_none"]


def test_a_module_that_fails_raises_its_own_exception_with_its_lines(far):
    result, _ = far(
        """
        import traceback
        result = []
        for name in "failing", "syntax":
            try:
                __import__(name)
            except Exception as error:
                result.append((type(error).__name__, traceback.format_exc()))
        import sys
        result.append("failing" in sys.modules)
        """,
        **{"failing.py": "def f():\n    raise KeyError('mine')  # here\nf()\n", "syntax.py": "x = = 1\n"},
    )
    (kind, text), (bad, shown), left = result
    assert (kind, bad, left) == ("KeyError", "SyntaxError", False)
    assert "raise KeyError('mine')  # here" in text
    assert "importer.py" not in text
    assert "x = = 1" in shown


def test_a_warning_shows_its_line(far):
    result, _ = far(
        """
        import io, sys, warnings
        warnings.simplefilter("always")
        sys.stderr = said = io.StringIO()
        import loud
        result = said.getvalue()
        """,
        **{"loud.py": "import warnings\nwarnings.warn('so it is')  # here\n"},
    )
    assert result.endswith("loud.py:2: UserWarning: so it is\n  warnings.warn('so it is')  # here\n")


def test_namespace_packages_and_zips(far, tmp_path, monkeypatch):
    import zipfile

    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        archive.writestr("zipped/mod.py", "x = 1")
    monkeypatch.syspath_prepend(str(tmp_path / "z.zip"))
    result, _ = far(
        "import ns.inner.mod, zipped.mod; result = ns.inner.mod.x, zipped.mod.x, zipped.mod.__file__",
        **{"ns/inner/mod.py": "x = 5"},
    )
    assert result[:2] == (5, 1)
    assert result[2].endswith("z.zip/zipped/mod.py")


def test_bytecode_only_modules(far, tmp_path):
    import py_compile

    (tmp_path / "hidden.py").write_text("x = 'compiled'")
    py_compile.compile(str(tmp_path / "hidden.py"), cfile=str(tmp_path / "hidden.pyc"))
    (tmp_path / "hidden.py").unlink()
    assert far("import hidden; result = hidden.x")[0] == "compiled"


def test_data_files_of_a_package(far):
    resources = """
        from importlib import resources
        root = resources.files("pkg")
        result += [(root / "d" / "t.txt").read_text(), root.joinpath("d").is_dir(), (root / "none").is_file(),
                   sorted(item.name for item in root.iterdir() if not item.name.startswith("__"))]
        with resources.as_file(root / "d" / "t.txt") as path:
            result.append(path.read_text())
        """
    result, _ = far(
        """
        import pkgutil, sys, os, pkg, beside
        result = [pkgutil.get_data("pkg", "d/t.txt"), beside.__loader__.get_data(
            os.path.join(os.path.dirname(beside.__file__), "table.csv"))]
        try:
            pkgutil.get_data("pkg", "../table.csv")
        except OSError as error:
            result.append(type(error).__name__)
        """
        + (resources if sys.version_info >= (3, 10) else ""),
        **{"pkg/__init__.py": "", "pkg/d/t.txt": "text", "beside.py": "", "table.csv": "a,b"},
    )
    assert result[:3] == [b"text", b"a,b", "FileNotFoundError"]
    if sys.version_info >= (3, 10):
        assert result[3:] == ["text", True, False, ["d"], "text"]


def test_a_compiled_module_loads_where_the_platform_is_the_same(far):
    import _bisect
    import shutil

    if not getattr(_bisect, "__file__", None):
        pytest.skip("this Python has _bisect built in")
    with open(_bisect.__file__, "rb") as file:
        content = file.read()
    name = os.path.basename(_bisect.__file__)
    result, _ = far("from ext import _bisect as b; result = b.bisect_right([1, 2], 1), b.__file__", **{
        "ext/__init__.py": "", f"ext/{name}": content})  # fmt: skip
    assert result[0] == 1
    shutil.rmtree(os.path.dirname(result[1]))


TAG = {"python": "cpython-311", "suffix": ".so", "machine": "x86_64", "libc": "glibc 2.31"}


@pytest.mark.parametrize(
    ("change", "origin", "text"),
    [
        ({}, "m.so", ""),
        ({"libc": "glibc 2.36"}, "m.so", ""),
        ({"libc": "glibc 2.5"}, "m.so", "libc glibc 2.31 (here glibc 2.5)"),
        ({"libc": "unknown"}, "m.so", "libc glibc 2.31 (here unknown)"),
        ({"machine": "aarch64"}, "m.abi3.so", "machine x86_64 (here aarch64)"),
        ({"python": "cpython-312"}, "m.so", "python cpython-311 (here cpython-312)"),
        ({"python": "cpython-312"}, "m.abi3.so", ""),
    ],
)
def test_platforms_that_differ_are_told_apart(change, origin, text):
    assert importer.mismatch(TAG, {**TAG, **change}, origin) == text


def test_a_compiled_module_of_another_platform_names_the_remedy():
    entry = {
        "name": "fast",
        "kind": "extension",
        "origin": "/x/fast.so",
        "is_package": False,
        "path": None,
        "size": 1,
    }
    header = {"modules": [entry], "complete": [], "platform": {**modules.platform_tag(), "machine": "other"}}
    finder = importer.ClientFinder(lambda *_: (header, b"x"))
    with pytest.raises(ImportError, match=r"machine other .*transparent-mp deploy") as caught:
        finder.find_spec("fast")
    assert (caught.value.name, caught.value.path) == ("fast", "/x/fast.so")


def test_a_compiled_module_names_the_clients_file():
    compiled = [name for name in ("_queue", "_json", "_csv") if getattr(__import__(name), "__file__", None)]
    if not compiled:
        pytest.skip("this interpreter has them built in")
    name = compiled[0]
    body = Path(sys.modules[name].__file__).read_bytes()
    origin = f"/no/such/place/{Path(sys.modules[name].__file__).name}"
    entry = {
        "name": name,
        "kind": "extension",
        "origin": origin,
        "is_package": False,
        "path": None,
        "size": len(body),
    }
    header = {"modules": [entry], "complete": [], "platform": modules.platform_tag()}
    spec = importer.ClientFinder(lambda *_: (header, body)).spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.__file__ == origin
    assert isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)


def test_a_client_that_cannot_look_is_an_import_error():
    finder = importer.ClientFinder(lambda *_: ({"found": False, "error": "OSError: disk"}, b""))
    with pytest.raises(ImportError, match="disk"):
        finder.find_spec("tmp_any")


def test_threads_ask_once(tmp_path, monkeypatch):
    (tmp_path / "tmp_threads.py").write_text("x = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    asked, gate = [], threading.Barrier(4, timeout=10)

    def ask(kind, header):
        asked.append(header["name"])
        return modules.answer({"kind": kind, **header})

    finder = importer.ClientFinder(ask)

    def look():
        gate.wait()
        finder.find_spec("tmp_threads")

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["tmp_threads"]


PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/one.py": "",
    "pkg/sub/__init__.py": "",
    "pkg/data/text.txt": "hello",
    "space/inner/mod.py": "x = 1",
    "space/note.txt": "beside",
}


def test_modules_of_a_client_package_are_listed(far):
    result, asked = far(
        """
        import pkg, pkgutil, pkg.sub, sys
        # What this machine has of it is not to be looked at.
        sys.path_hooks[:-1] = []
        sys.path_importer_cache.clear()
        result = ([tuple(m)[1:] for m in pkgutil.iter_modules(pkg.__path__, "pkg.")],
                  [m.name for m in pkgutil.walk_packages(pkg.__path__, "pkg.")],
                  list(pkgutil.iter_modules([pkg.__path__[0] + "/nowhere"])),
                  list(pkgutil.iter_modules(["rel"])))
        """,
        **PACKAGE,
    )
    assert result == ([("pkg.one", False), ("pkg.sub", True)], ["pkg.one", "pkg.sub"], [], [])
    assert [kind for kind, _ in asked].count("folder") == 3


@pytest.mark.skipif(sys.version_info < (3, 10), reason="this Python finds no files of a namespace package")
def test_files_of_a_namespace_package(far):
    result, _ = far(
        """
        import importlib.resources, pkgutil, space.inner.mod, inspect
        files = importlib.resources.files("space")
        result = (sorted(x.name for x in files.iterdir() if x.name != "__pycache__"),
                  (files / "note.txt").read_text(), space.inner.mod.x, space.__file__,
                  inspect.getsource(space.inner.mod))
        """,
        **PACKAGE,
    )
    assert result == (["inner", "note.txt"], "beside", 1, None, "x = 1\n")


def test_files_of_a_package(far):
    result, _ = far(
        """
        import importlib.resources, pkgutil, pkg
        files = importlib.resources.files(pkg)
        with importlib.resources.as_file(files / "data" / "text.txt") as path:
            copied = path.read_text()
        result = files.joinpath("data/text.txt").read_text(), copied, pkgutil.get_data("pkg", "data/text.txt")
        """,
        **PACKAGE,
    )
    assert result == ("hello", "hello", b"hello")


def test_only_the_programs_directories_are_listed(tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "mod.py").write_text("")
    (tmp_path / "elsewhere.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "app"))
    folder = {"kind": "folder", "path": str(tmp_path / "app")}
    assert modules.answer(folder)[0] == {"found": True, "modules": [["mod", False]]}
    assert "not a directory of the program" in modules.answer({**folder, "path": str(tmp_path)})[0]["error"]


def own(far, names, code, **files):
    """The result of `code` where those modules are the program's own."""
    head = (
        f"import sys\nfrom transparent_mp.worker.importer import ClientFinder, OwnFinder\nnames = {names!r}\n"
    )
    head += "finder = next(one for one in sys.meta_path if isinstance(one, ClientFinder))\n"
    head += "sys.meta_path.insert(0, OwnFinder(finder, names))\n"
    return far(head + textwrap.dedent(code), **files)[0]


def test_the_program_s_own_come_before_what_is_here(far, monkeypatch):
    # As in a program, which has its own; another test may have imported the library's.
    monkeypatch.delitem(sys.modules, "statistics", raising=False)
    result = own(
        far,
        ["statistics", "this"],
        "import statistics, this.part\nresult = statistics.mine, this.part.__name__, this.__file__[-16:]",
        **{"statistics.py": "mine = True", "this/__init__.py": "", "this/part.py": ""},
    )
    assert result == (True, "this.part", "this/__init__.py")


def test_what_was_imported_under_its_name_gives_way(far):
    code = "import colorsys\nresult = colorsys.mine"
    assert own(far, ["colorsys"], code, **{"colorsys.py": "mine = True"}) is True


def test_own_packages_with_compiled_modules_are_looked_for_here_first(far):
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    result = own(
        far,
        ["compiled_one"],
        "result = [finder.find_spec('compiled_one') for finder in sys.meta_path[:1]]",
        **{"compiled_one/__init__.py": "", f"compiled_one/fast{suffix}": b"elf"},
    )
    assert result == [None]


def test_a_source_is_compiled_once_on_a_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    compiled = []
    monkeypatch.setattr(
        importer.ClientLoader,
        "source_to_code",
        lambda self, data, path, **_: compiled.append(path) or compile(data, path, "exec"),
    )
    header = {"origin": "/client/m.py", "is_package": False, "digest": "d" * 64}
    for _ in range(2):
        finder = importer.ClientFinder(lambda kind, request: ({}, b""))
        loader = importer.ClientLoader("m", importer.Entry(header, b"x = 1"), finder)
        space = {}
        exec(loader.get_code("m"), space)
        assert space["x"] == 1
    assert compiled == ["/client/m.py"]


def test_what_is_known_goes_with_its_edition(monkeypatch):
    asked, edition = [], [0]

    def ask(kind, request):
        asked.append(request["name"])
        entry = {"name": "m", "kind": "missing", "origin": None, "is_package": False, "path": None, "size": 0}
        return {"modules": [entry], "complete": [], "platform": {}}, b""

    finder = importer.ClientFinder(ask, lambda: edition[0])
    assert finder.find_spec("m") is finder.find_spec("m") is None
    assert asked == ["m"]
    edition[0] = 1
    assert finder.find_spec("m") is None
    assert asked == ["m", "m"]
