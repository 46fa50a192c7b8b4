from __future__ import annotations

import json
import multiprocessing
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from transparent_mp.primitives import spawn

ROOT = str(Path(__file__).parents[3])


def prepare(data, code, cwd, script=None):
    """Run `prepare` in a fresh interpreter, then `code`; what it prints as JSON."""
    text = f"""
import json, sys
sys.path.append({ROOT!r})
from transparent_mp.primitives import spawn
asked = []
def script(file):
    asked.append(file)
    return {script!r}
data = json.loads(sys.stdin.read())
if "authkey" in data: data["authkey"] = data["authkey"].encode()
spawn.prepare(data, script=script)
{code}
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        input=json.dumps(data),
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_data_is_the_standard_librarys_and_a_digest(monkeypatch, tmp_path):
    script = tmp_path / "app.py"
    script.write_text("x = 1")
    monkeypatch.setitem(sys.modules, "__main__", type(sys)("__main__"))
    sys.modules["__main__"].__file__ = str(script)
    sys.modules["__main__"].__spec__ = None
    data = spawn.get_preparation_data("name")
    assert data["name"] == "name"
    assert data["init_main_from_path"] == str(script)
    assert len(data["main_digest"]) == 64


def test_prepare_sets_what_the_standard_library_sets(tmp_path):
    data = {"name": "Process-7", "authkey": "key", "log_level": 20, "sys_argv": ["a", "b"],
            "start_method": "spawn", "dir": str(tmp_path), "orig_dir": "/orig"}  # fmt: skip
    code = """
import multiprocessing as mp, os, logging
from multiprocessing import util, process
me = mp.current_process()
print(json.dumps([me.name, bytes(me.authkey).decode(), util.get_logger().level,
                  sys.argv, mp.get_start_method(), os.getcwd(), process.ORIGINAL_DIR]))
"""
    assert prepare(data, code, "/") == ["Process-7", "key", 20, ["a", "b"], "spawn", str(tmp_path), "/orig"]


def test_a_directory_that_is_not_here_is_not_entered(tmp_path):
    assert prepare({"dir": "/no/such"}, "import os; print(json.dumps(os.getcwd()))", tmp_path) == str(
        tmp_path
    )


def test_a_main_script_that_is_not_here_is_asked_for(tmp_path):
    code = """
import __main__, __mp_main__, inspect, traceback
from multiprocessing import process
try:
    __main__.fail()
except ZeroDivisionError:
    text = traceback.format_exc()
print(json.dumps([__main__ is __mp_main__, __main__.x, __main__.seen, __main__.__file__, text, asked,
                  inspect.getsource(__main__.fail)]))
"""
    script = "import sys\nx = 3\nseen = __name__\ndef fail():\n    return 1 / 0  # here\n"
    script += "if __name__ == '__main__': x = 9\n"
    data = {"init_main_from_path": "/gone/app.py", "main_digest": "0" * 64}
    same, x, seen, file, text, asked, source = prepare(data, code, tmp_path, script.encode())
    assert (same, x, seen, file, asked) == (True, 3, "__mp_main__", "/gone/app.py", ["/gone/app.py"])
    assert 'File "/gone/app.py", line 5, in fail' in text
    assert "return 1 / 0  # here" in text
    assert source.startswith("def fail")


@pytest.mark.parametrize("same", [True, False])
def test_a_script_here_is_used_only_if_it_is_the_clients(tmp_path, same):
    import hashlib

    script = tmp_path / "app.py"
    script.write_text("x = 1")
    digest = hashlib.sha256(b"x = 1" if same else b"x = 2").hexdigest()
    data = {"init_main_from_path": str(script), "main_digest": digest}
    got = prepare(data, "import __main__; print(json.dumps([__main__.x, len(asked)]))", "/", b"x = 2")
    assert got == ([1, 0] if same else [2, 1])


@pytest.mark.parametrize("form", ["latin-1", "compiled"])
def test_a_script_that_is_not_plain_text(tmp_path, form):
    text = "# -*- coding: latin-1 -*-\nx = '\xe9', __file__, __name__"
    (tmp_path / "app.py").write_bytes(text.encode("latin-1"))
    script = tmp_path / "app.py"
    if form == "compiled":
        script = Path(py_compile.compile(str(script), str(tmp_path / "app.pyc")))
    data = {"init_main_from_path": "/gone/" + script.name, "main_digest": "0" * 64}
    code = (
        "import __main__, linecache; print(json.dumps([__main__.x, linecache.getline(__main__.__file__, 2)]))"
    )
    got = prepare(data, code, "/", script.read_bytes())
    assert got == [
        ["\xe9", "/gone/" + script.name, "__mp_main__"],
        "" if form == "compiled" else text.splitlines()[1],
    ]


def test_ipythons_script_is_not_run_again(tmp_path):
    data = {"init_main_from_path": "/gone/ipython", "main_digest": "0" * 64}
    assert prepare(data, "print(json.dumps(asked))", "/", b"raise SystemExit('it was run')") == []


def test_a_main_by_name_is_imported(tmp_path):
    (tmp_path / "tool.py").write_text("x = __name__")
    data = {"init_main_from_name": "tool", "sys_path": [str(tmp_path)]}
    assert prepare(data, "import __main__; print(json.dumps(__main__.x))", "/") == "__mp_main__"


def test_a_script_that_is_gone_at_the_client_too_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        spawn.prepare({"init_main_from_path": "/gone/app.py", "main_digest": "0"}, script=lambda _: None)
    assert caught.value.filename == "/gone/app.py"


def test_the_path_of_another_machine_is_merged(tmp_path):
    here = str(tmp_path)
    own = ["/own/lib/python3.11", "/own/site-packages"]
    theirs = [
        "/app",
        "/far/lib/python311.zip",
        "/far/lib/python3.11",
        "/far/site-packages",
        here + "/site-packages",
    ]
    assert spawn.merged_path(theirs, own) == ["/app", *own]
    os.mkdir(here + "/site-packages")
    assert spawn.merged_path(theirs, own) == ["/app", *own, here + "/site-packages"]


def test_on_one_machine_the_clients_order_holds():
    path = list(dict.fromkeys(sys.path[1:]))
    assert spawn.merged_path(["/app", *path], [*path, "/own"]) == [
        "/app",
        *path,
        "/own",
    ]


def test_a_real_child_gets_the_ticket_and_joins(monkeypatch):
    got = []
    monkeypatch.setattr(spawn.sessions, "attach_ticket", got.append)
    with spawn.passing_on({"session": 1}):
        spawn.prepare({"transparent_mp": spawn.get_preparation_data("child")["transparent_mp"]})
    assert "transparent_mp" not in spawn.get_preparation_data("child")
    spawn.prepare({})
    assert got == [{"session": 1}]
    assert multiprocessing.current_process().name == "MainProcess"
