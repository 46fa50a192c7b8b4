"""The handler under AWS' own runtime interface emulator, with AWS' own runtime client in it.

The emulator takes one invocation at a time, waits for each, and neither freezes nor limits anything: what
it shows is that the handler is called as AWS calls it. `make rie` fetches it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from events import told
from lambda_front import HANDLER, INSTALLED, PACKAGE, plain_environ

from transparent_mp.config import Config
from transparent_mp.store.session import OwnedSession, open_session

ROOT = Path(__file__).resolve().parents[2]
EMULATOR = ROOT / ".rie" / "aws-lambda-rie"
PATH = "/2015-03-31/functions/function/invocations"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an emulator that runs our handler, among other temporary files than its own."""
    tmp_path_factory.mktemp("there")
    if not EMULATOR.exists():
        if os.environ.get("CI", "false") != "false":
            pytest.fail("the emulator is not there: `make rie` fetches it")
        pytest.skip("the emulator is not there: `make rie` fetches it from the wheel of aws-sam-cli")
    invoke, api = (f"127.0.0.1:{free_port()}" for _ in range(2))
    words = ["--runtime-interface-emulator-address", invoke, "--runtime-api-address", api]
    runtime = [sys.executable, "-m", "awslambdaric", HANDLER]
    variables = {
        **plain_environ(),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "8",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "PYTHONPATH": "" if INSTALLED else str(PACKAGE.parent),
    }
    with subprocess.Popen(
        [EMULATOR, *words, *runtime], env=variables, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr is not None
        # It says that it serves before it serves, and nothing after.
        while b"exec" not in (line := process.stderr.readline()):
            assert line, "the emulator has ended"
        log = threading.Thread(target=process.stderr.read)
        log.start()
        yield invoke
        # The emulator, the runtime and what it has started.
        os.killpg(process.pid, signal.SIGKILL)
        log.join()


def invoke(emulator: str, event: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"http://{emulator}{PATH}", json.dumps(event).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


@pytest.fixture
def session() -> Iterator[OwnedSession]:
    session = open_session(Config(lease=5.0))
    yield session
    session.end()


def ticket(session: OwnedSession, **changes: Any) -> dict[str, Any]:
    """What a launch of worker `w` carries, which is awaited."""
    session.store.call(("SADD", session.keys("starting"), "w"))
    python = list(sys.version_info[:2])
    own = {"worker": "w", "machine": "w", "python": python, "slots": 1, "linger": 0.1, "log": "warning"}
    return {**session.ticket(), **own, **changes}


def test_a_worker_checks_in_lingers_and_says_what_it_did(emulator: str, session: OwnedSession) -> None:
    said = invoke(emulator, {"ticket": ticket(session)})
    assert said["processes"] == 0
    assert said["seconds"] >= 0.1
    assert [head["kind"] for head in told(session)] == ["ready", "left"]


def test_a_second_delivery_is_no_worker(emulator: str, session: OwnedSession) -> None:
    launched = ticket(session)
    invoke(emulator, {"ticket": launched})
    assert invoke(emulator, {"ticket": dict(launched, linger=600.0)})["processes"] == 0


def test_it_leaves_before_the_limit(emulator: str, session: OwnedSession) -> None:
    said = invoke(emulator, {"ticket": ticket(session, linger=600.0)})
    # Half of the eight seconds: an idle worker is of no use after that.
    assert 3.5 < said["seconds"] < 6.0


def test_what_others_put_among_temporary_files_meanwhile_stays(emulator: str, session: OwnedSession) -> None:
    event = {"ticket": ticket(session, linger=1.0)}
    worker = threading.Thread(target=invoke, args=(emulator, event))
    worker.start()
    # Its invocation has begun, and has a second to go.
    while not told(session):
        assert worker.is_alive()
    with tempfile.TemporaryDirectory() as place:
        worker.join()
        assert Path(place).exists()


def test_a_probe_is_answered(emulator: str, session: OwnedSession) -> None:
    said = invoke(emulator, {"probe": session.worker_url})
    assert said["python"] == ".".join(map(str, sys.version_info[:3]))
    assert said["store_ms"] > 0


def test_another_event_is_refused_with_what_is_expected(emulator: str) -> None:
    assert 'holds a "ticket" or a "probe"' in invoke(emulator, {"name": "value"})["errorMessage"]
