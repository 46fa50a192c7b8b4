"""An AWS of the tests' own: moto's server, with helpers for what tests look at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transparent_mp.launch.clients import Clients

REGION = "eu-west-1"
#: Seconds for the server to answer, and between looks: it tells nobody that it does.
START, LOOK_EVERY = 60.0, 0.05
#: The endpoint and credentials by which every AWS tool finds it.
NAMES = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_EC2_METADATA_DISABLED",
)


class Aws:
    """A running server."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        self.url = f"http://{host}:{port}"
        self.environ = dict(zip(NAMES, (self.url, "test", "test", REGION, "true")))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**clean, "TRANSPARENT_MP": ""},
        )
        deadline = time.monotonic() + START
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((host, port)) == 0:
                    break
            assert self._process.poll() is None, "moto's server has ended: is moto[server] installed?"
            assert time.monotonic() < deadline, "moto's server does not answer"
            time.sleep(LOOK_EVERY)

    def reset(self) -> None:
        """An empty account, in which everyone may do everything."""
        self.let_permissions_count(False)
        self.ask("reset", b"")
        self.let_functions_answer(True)

    def ask(self, what: str, body: bytes) -> bytes:
        """Give moto's own interface a command."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/moto-api/{what}", body, headers)
        with urllib.request.urlopen(request) as answer:
            content: bytes = answer.read()
        return content

    def let_functions_answer(self, as_told: bool) -> None:
        """With what they are told (`will_answer`); else they cannot run, but have layers before moto 5.2."""
        self.ask("config", json.dumps({"lambda": {"use_docker": not as_told}}).encode())

    def will_answer(self, result: dict[str, Any]) -> None:
        """Let the next invocation of a function answer that."""
        body = json.dumps({"results": [json.dumps(result)], "region": REGION}).encode()
        self.ask("static/lambda-simple/response", body)

    def user(self, *actions: str) -> dict[str, str]:
        """The environment of a user who may do this and nothing else, once permissions count."""
        iam = Clients(REGION)("iam")
        iam.create_user(UserName="someone")
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="someone", PolicyName="some", PolicyDocument=policy)
        key = iam.create_access_key(UserName="someone")["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def let_permissions_count(self, count: bool = True) -> None:
        """moto knows them for IAM, S3 and what is asked by POST; Lambda's own calls it takes for forged."""
        self.ask("reset-auth", b"0" if count else b"inf")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    tag: str,
    files: Mapping[str, str | bytes],
    requires: Iterable[str] = (),
) -> None:
    """A wheel that pip can install."""
    full_name = f"{name.replace('-', '_')}-{version}"
    info = f"{full_name}.dist-info"
    pure = "true" if tag.endswith("-any") else "false"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    everything: dict[str, str | bytes] = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    everything[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*everything, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{full_name}-{tag}.whl", "w") as wheel:
        for path, text in everything.items():
            wheel.writestr(path, text)
