"""The sandbox hides what another host would not have, and the demo's programs run in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "tests" / "sandbox" / "sandbox"


@pytest.fixture
def _root() -> None:
    """Namespaces need root. In CI a missing one is an error, since nothing would be shown there."""
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("the sandbox makes namespaces, which needs root")


needs_root = pytest.mark.usefixtures("_root")


def in_sandbox(code: str) -> subprocess.CompletedProcess[str]:
    command = [SANDBOX, "--ro", sys.prefix, "--", sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@needs_root
def test_it_shares_nothing_with_the_client(tmp_path: Path) -> None:
    hidden = [str(ROOT / "tests"), str(tmp_path), "/dev/shm"]
    assert all(map(os.path.exists, hidden))
    code = f"""
import os, socket, transparent_mp
print([path for path in {hidden!r} if os.path.exists(path)], os.geteuid())
print(socket.gethostname() != {os.uname().nodename!r}, transparent_mp.__file__.startswith({sys.prefix!r}))
try:
    open("/var/task/file", "w")
except OSError as error:
    print(type(error).__name__, error.errno)
"""
    ran = in_sandbox(code)
    assert ran.stderr == ""
    assert ran.stdout == "[] 993\nTrue True\nOSError 30\n"


@needs_root
def test_its_exit_status_is_the_commands() -> None:
    assert in_sandbox("raise SystemExit(7)").returncode == 7


@needs_root
def test_it_dies_with_who_started_it() -> None:
    code = "import time; print('up', flush=True); time.sleep(600)"
    command = [SANDBOX, "--ro", sys.prefix, "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        assert sandbox.stdout.readline() == "up\n"
        sandbox.send_signal(signal.SIGKILL)
        # The pipe ends when the last process that holds it is gone, the one inside included.
        assert sandbox.communicate(timeout=30) == ("", None)


def assert_demo_runs_on(workers: str) -> None:
    command = [sys.executable, ROOT / "examples" / "demo.py", "--on", workers, "--limit", "120"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("same result") == 3


def test_the_demo_prints_what_plain_python_prints_on_local_workers() -> None:
    assert_demo_runs_on("local")


@needs_root
def test_networks_that_come_and_go_leave_the_bridge_its_address() -> None:
    def address() -> str:
        return Path("/sys/class/net/tmpbr0/address").read_text()

    command = [SANDBOX, "--net", "--", "cat"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=60)
    before = address()
    # Among as many ports one has a lower address than the bridge was made with, or the first of them.
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for sandbox in started:
        assert sandbox.stdin is not None
        assert sandbox.stdout is not None
        sandbox.stdin.write(b"up\n")
        sandbox.stdin.flush()
        assert sandbox.stdout.readline() == b"up\n"
        assert address() == before
    for sandbox in started:
        sandbox.communicate(timeout=60)
        assert sandbox.returncode == 0
        assert address() == before


@needs_root
def test_the_demo_prints_what_plain_python_prints_on_workers_in_the_sandbox() -> None:
    assert_demo_runs_on("sandbox")
