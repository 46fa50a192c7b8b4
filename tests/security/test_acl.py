"""A user of Redis with the least rights: those that docs/security.md lists, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

import transparent_mp

PACKAGE = Path(transparent_mp.__file__).resolve().parent
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "contract" / "programs"
#: What a program may do without: doctor's look at the settings, another database. AUTH needs no right.
NOT_NEEDED = {"auth", "info", "select"}

APP = """
    import multiprocessing
    process = multiprocessing.Process(target=print, args=("hello",))
    process.start()
    process.join()
"""


def rule() -> list[str]:
    """The words of the documentation's ACL rule."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    found = re.search(r"^    ACL SETUSER (transparent on .*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].split()


def used() -> set[str]:
    """Commands that stand in the scripts and in the store's callers."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.lua"):
        found.update(re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text()))
    words = set()
    for path in PACKAGE.rglob("*.py"):
        words.update(re.findall(r'[(\[]\s*"([A-Z]{3,})"(?:,\s*"([A-Z]+)")?', path.read_text()))
    containers = ("CLIENT", "SCRIPT")
    return {name.lower() for name in found} | {
        f"{name}|{sub}".lower() if name in containers else name.lower() for name, sub in words
    }


@pytest.fixture
def restricted(redis: Callable[..., Any]) -> Any:
    server = redis()
    assert server.ask("ACL", "SETUSER", *[word.replace("PASSWORD", "word") for word in rule()]) == b"OK"
    server.url = f"redis://transparent:word@127.0.0.1:{server.port}"
    return server


def test_every_command_that_is_used_is_in_the_rule_and_no_other(redis: Callable[..., Any]) -> None:
    listed = {word[1:] for word in rule() if word.startswith("+")}
    known = {command[0].decode() for command in redis().ask("COMMAND")}
    known |= {"script|load", "client|info", "client|kill", "client|unblock", "client|id"}
    assert listed - NOT_NEEDED == {name for name in used() if name in known} - NOT_NEEDED


def test_the_user_can_do_nothing_else(restricted: Any) -> None:
    for command in (
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("MONITOR",),
        ("CLIENT", "LIST"),
        ("ACL", "LIST"),
        ("GET", "other"),
        ("SET", "other", "1"),
        ("PUBLISH", "channel", "x"),
        ("EVAL", "return redis.call('get', 'other')", "0"),
    ):
        refusal = str(restricted.ask(*command, user="transparent:word@"))
        assert "NOPERM" in refusal or "can't access" in refusal, (command, refusal)


@pytest.mark.parametrize(
    "program",
    ["processes.py", "pools.py", "queues.py", "named_memory.py", "managers.py", "files_write.py"],
)
def test_programs_run_with_that_user(program: str, restricted: Any, environ: dict[str, str]) -> None:
    ran = [
        subprocess.run(
            [sys.executable, *door, program, "fork"],
            cwd=PROGRAMS,
            env={**environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        for door, settings in (
            ((), {}),
            (
                ("-m", "transparent_mp"),
                {"TRANSPARENT_MP_REDIS_URL": restricted.url, "TRANSPARENT_MP_WORKERS": "2"},
            ),
        )
    ]
    assert (ran[1].stdout, ran[1].stderr, ran[1].returncode) == (
        ran[0].stdout,
        ran[0].stderr,
        ran[0].returncode,
    )
    assert ran[1].returncode == 0


@pytest.mark.parametrize("lacks", ["evalsha", "sadd", "blpop", "client|info"])
def test_a_user_with_less_ends_the_program_with_what_is_missing(
    lacks: str, program: Callable[..., Any], redis: Callable[..., Any]
) -> None:
    server = redis()
    words = [word.replace("PASSWORD", "word") for word in rule() if word != f"+{lacks}"]
    assert server.ask("ACL", "SETUSER", *words) == b"OK"
    running = program(APP, REDIS_URL=f"redis://transparent:word@127.0.0.1:{server.port}", LAUNCH_TIMEOUT="20")
    out, err, status = running.finish()
    assert (out, status) == ("", 1)
    assert "its user may not do this" in err
    assert "docs/security.md" in err
