from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from transparent_mp.worker import surroundings

ROOT = Path(__file__).resolve().parents[3]

ENTER = """
import json, os, sys
sys.path.append(sys.argv.pop(1))
from transparent_mp.worker import surroundings
from transparent_mp.worker import surroundings
around = {
    "environ": {"KEPT": "theirs", "NEW": "theirs", "PATH": "their path", "AWS_LAMBDA_X": "theirs"},
    "cwd": os.getcwd(), "argv": ["app.py", "x"], "path": ["", "/not/here"],
    "streams": [{"line_buffering": False}, {"line_buffering": False}], "ignored": [],
    "warnings": [], "umask": 0o22, "served": {}, "tempdir": None,
}
around.update(json.loads(sys.argv[1]))
surroundings.enter(around)
"""


def entered(code: str, changes: str = "{}", **environ: str) -> str:
    """What `code` prints after those surroundings were entered, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::EncodingWarning", "-c", ENTER + code, str(ROOT), changes],
        env={"PATH": os.environ["PATH"], "KEPT": "own", "GONE": "own", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_environment_is_the_client_s_but_for_what_describes_the_machine() -> None:
    code = "print(*map(os.environ.get, ('KEPT', 'NEW', 'GONE')), os.environ['PATH'] != 'their path')"
    assert entered(code) == "theirs theirs None True"
    assert entered("print(os.environ.get('AWS_LAMBDA_X'))", AWS_LAMBDA_X="own") == "own"


ROLE = {"AWS_LAMBDA_FUNCTION_NAME": "workers", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "role's"}


@pytest.mark.parametrize(
    ("theirs", "seen"),
    [
        # A profile, and its region, are files of the client's machine.
        ({"AWS_PROFILE": "dev"}, "role's role's token None eu-west-1"),
        ({"AWS_PROFILE": "dev", "AWS_DEFAULT_REGION": "us-west-2"}, "role's role's token None None"),
        # Without a token: the role's would not fit the key.
        ({"AWS_ACCESS_KEY_ID": "k", "AWS_PROFILE": "dev", "AWS_REGION": "r"}, "k None dev r"),
    ],
)
def test_aws_credentials_are_the_role_s_unless_the_client_s_environment_holds_some(
    theirs: dict[str, str], seen: str
) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION")
    code = f"print(*map(os.environ.get, {names!r}))"
    changes = json.dumps({"environ": theirs})
    assert entered(code, changes, **ROLE, AWS_SESSION_TOKEN="role's token") == seen


def test_elsewhere_than_on_lambda_they_are_the_client_s_like_the_rest() -> None:
    code = "print(*map(os.environ.get, ('AWS_ACCESS_KEY_ID', 'AWS_PROFILE')))"
    changes = json.dumps({"environ": {"AWS_PROFILE": "dev"}})
    assert entered(code, changes, AWS_ACCESS_KEY_ID="own") == "None dev"


def test_arguments_and_module_path_are_the_client_s_and_what_is_here_follows() -> None:
    first, *paths = entered("print(sys.argv); print(*sys.path, sep='\\n')").splitlines()
    assert first == "['app.py', 'x']"
    # The first is the empty one, of the interactive interpreter and -c.
    assert paths[:2] == ["", "/not/here"]
    assert str(ROOT) in paths


def test_output_is_buffered_as_the_client_s(tmp_path: Path) -> None:
    code = "print(sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout is sys.__stdout__)"
    assert entered(code) == "False True True"
    streams = [{"line_buffering": True}, {"line_buffering": False}]
    assert entered(code, json.dumps({"streams": streams})) == "True True True"


def test_output_is_encoded_as_the_client_s() -> None:
    code = "print(sys.stdout.encoding, sys.stdout.errors, sys.stderr.encoding, sys.stderr.errors)"
    assert entered(code) == "utf-8 strict utf-8 backslashreplace"
    out = {"line_buffering": False, "encoding": "latin-1", "errors": "replace", "write_through": True}
    streams = {"streams": [out, {"line_buffering": False, "encoding": "ascii"}]}
    assert entered(code, json.dumps(streams)) == "latin-1 replace ascii backslashreplace"


def test_what_the_client_ignores_is_ignored() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN)"
    assert entered(code) == "False"
    assert entered(code, json.dumps({"ignored": [int(signal.SIGUSR1)]})) == "True"


def test_the_time_zone_is_the_client_s() -> None:
    theirs = json.dumps({"environ": {"TZ": "Asia/Tokyo"}})
    assert entered("import time; print(time.tzname[0])", theirs, TZ="UTC") == "JST"


@pytest.mark.parametrize("cwd", ["/not/here", ""])
def test_a_directory_that_is_not_here_does_not_stop_a_process(cwd: str) -> None:
    assert os.path.isdir(entered("print(os.getcwd())", f'{{"cwd": "{cwd}"}}'))


def test_warnings_are_filtered_as_the_client_filters_them() -> None:
    code = "import warnings\ntry:\n  warnings.warn('x')\nexcept UserWarning: print('raised')"
    assert entered(code, '{"warnings": ["error"]}') == "raised"


def test_a_directory_for_sockets_is_taken_over_only_where_it_is(tmp_path: Path) -> None:
    none: dict[str, object] = {}
    here, elsewhere = {"tempdir": "/"}, {"tempdir": "/not/here", "authkey": b"k"}
    place = surroundings.place_for_sockets(str(tmp_path))
    for config in (here, elsewhere, none):
        surroundings.place_sockets(config, place)
    assert list(map(str, tmp_path.iterdir())) == [place]
    assert (here, elsewhere, none) == (
        {"tempdir": "/"},
        {"tempdir": place, "authkey": b"k"},
        {"tempdir": place},
    )


def test_a_directory_for_sockets_that_another_process_has_left(tmp_path: Path) -> None:
    first, second = (surroundings.place_for_sockets(str(tmp_path)) for _ in range(2))
    assert first == second
    assert os.path.isdir(first)


def test_without_a_place_a_process_looks_for_one_itself() -> None:
    for place in ("", "/not/here"):
        config: dict[str, object] = {"tempdir": "/not/here"}
        surroundings.place_sockets(config, surroundings.place_for_sockets(place))
        assert config == {}
