from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

import pytest
from botocore.auth import AUTH_TYPE_MAPS, SigV4Auth
from botocore.config import Config as Settings
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.session import Session

from transparent_mp.launch import invoking
from transparent_mp.launch.invoking import Invoker

URL = "/2015-03-31/functions/workers/invocations"


class Api(BaseHTTPRequestHandler):
    """Answers with the next of `answers`, 202 where there is none; 0 hangs up. Keeps what came.

    With `together`, only when so many have come.
    """

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        lambda_: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        lambda_.seen.append((self.client_address, self.path, dict(self.headers), body))
        lambda_.open.append(self.connection)
        if lambda_.together is not None:
            lambda_.together.wait(60)
        status = lambda_.answers.popleft() if lambda_.answers else 202
        if not status:
            self.close_connection = True
            return
        said = b"" if status == 202 else b'{"message": "so it is"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        if status == 403:
            self.send_header("x-amzn-errortype", "AccessDeniedException")
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    server.seen, server.answers, server.open, server.together = [], deque(), [], None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A client of that server, with these credentials."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setattr(invoking, "_PAUSE", 0.0)
    made = []

    def client(credentials: Any = None, endpoint: str = "", verify: Any = None, **settings: Any) -> Any:
        session = Session()
        session.set_credentials("the-key", "the-secret", "the-token")
        if credentials is not None:
            session._credentials = credentials
        url = f"http://127.0.0.1:{server.server_address[1]}"
        # One attempt: what is tried again here is not botocore's doing.
        config = Settings(retries={"mode": "standard", "total_max_attempts": 1}, **settings)
        made.append(
            session.create_client(
                "lambda", endpoint_url=endpoint or url, region_name="eu-west-1", config=config, verify=verify
            )
        )
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def invoker(client: Callable[..., Any]) -> Iterator[Callable[..., Invoker]]:
    """An invoker of that server, or of this client of its."""
    made = []

    def invoker(given: Any = None) -> Invoker:
        made.append(Invoker(given or client(), "workers"))
        return made[-1]

    yield invoker
    for each in made:
        each.close()


def signature(headers: dict[str, str], body: bytes) -> str:
    """What AWS' signature of such a request is, by its own description of Signature Version 4."""
    words = dict(
        word.split("=", 1) for word in headers["Authorization"].partition(" ")[2].replace(",", "").split()
    )
    day, region, service = words["Credential"].split("/")[1:4]
    held = {name.lower(): value.strip() for name, value in headers.items()}
    names = words["SignedHeaders"].split(";")
    lines = ["POST", URL, "", *(f"{name}:{held[name]}" for name in names), "", words["SignedHeaders"]]
    canonical = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = b"AWS4the-secret"
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{held['x-amz-date']}\n{scope}\n{digest}"
    assert words["Signature"] == hmac.new(key, text.encode(), "sha256").hexdigest()
    return f"{region} {service} {words['SignedHeaders']}"


def test_many_take_one_connection_one_after_another(server: Any, invoker: Any) -> None:
    one = invoker()
    for number in range(5):
        one.send(b"%d" % number)
    assert [body for *_rest, body in server.seen] == [b"0", b"1", b"2", b"3", b"4"]
    assert len({connection for connection, *_rest in server.seen}) == 1


def test_botocore_asks_once_and_the_others_are_the_same_with_a_signature_of_their_own(
    server: Any, client: Any, invoker: Any
) -> None:
    made = client()
    asked = []
    made.meta.events.register("before-call.lambda.Invoke", lambda **_: asked.append(1))
    one = invoker(made)
    payloads = [b"one", b"another", b"a third", b"a fourth", b""]
    for payload in payloads:
        one.send(payload)
    assert len(asked) == 1
    assert [(path, body) for _, path, _, body in server.seen] == [(URL, payload) for payload in payloads]
    first, *others = (headers for _, _, headers, _ in server.seen)
    assert signature(first, b"one").startswith("eu-west-1 lambda ")
    # By botocore's own way, and then on the connection that it has left.
    left_out: list[set[str]] = [set(), *[{"Accept-Encoding"}] * 3]
    for headers, payload, added in zip(others, payloads[1:], left_out):
        assert headers["X-Amz-Invocation-Type"] == first["X-Amz-Invocation-Type"] == "Event"
        assert headers["User-Agent"].partition(" ")[0] == first["User-Agent"].partition(" ")[0]
        assert headers["X-Amz-Security-Token"] == "the-token"
        assert set(first) - {"amz-sdk-invocation-id", "amz-sdk-request"} == set(headers) | added
        assert headers["Host"] == first["Host"]
        assert signature(headers, payload).startswith("eu-west-1 lambda ")
        assert headers["Authorization"] != first["Authorization"]


@pytest.mark.parametrize(("lasts", "whole"), [(600.0, 3), (-1.0, 6)])
def test_only_what_differs_is_signed_anew_for_some_seconds(
    server: Any, client: Any, invoker: Any, monkeypatch: pytest.MonkeyPatch, lasts: float, whole: int
) -> None:
    monkeypatch.setattr(invoking, "_LASTS", lasts)
    made, add_auth = [], SigV4Auth.add_auth
    monkeypatch.setattr(SigV4Auth, "add_auth", lambda *words: (made.append(1), add_auth(*words))[1])
    one = invoker(client())
    for number in range(6):
        one.send(b"%d" % number)
    assert len(made) == whole
    for _, _, headers, body in server.seen:
        signature(headers, body)


@pytest.mark.parametrize("how", ["no canonical request", "no digest in it"])
def test_what_signs_in_another_way_signs_each(
    server: Any, client: Any, invoker: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    class Auth(SigV4Auth):
        def add_auth(self, request: Any) -> None:
            made.append(1)
            super().add_auth(request)

        def payload(self, _request: Any) -> str:
            return "UNSIGNED-PAYLOAD"

    class Other:
        REQUIRES_REGION, REQUIRES_TOKEN = True, False

        def __init__(self, **words: Any) -> None:
            self.credentials, self.add_auth = words["credentials"], Auth(**words).add_auth

    made: list[int] = []
    monkeypatch.setitem(AUTH_TYPE_MAPS, "v4", Other if how == "no canonical request" else Auth)
    one = invoker(client())
    for _ in range(5):
        one.send(b"x")
    assert len(made) == 5


def test_credentials_are_refreshed_between_two(server: Any, client: Any, invoker: Any) -> None:
    numbers = iter(range(100))

    def refreshed() -> dict[str, str]:
        # Within the time in which botocore must have others.
        expiry = (datetime.now(timezone.utc) + timedelta(seconds=60)).isoformat()
        key = f"key-{next(numbers)}"
        return {"access_key": key, "secret_key": "x", "token": "y", "expiry_time": expiry}

    credentials = RefreshableCredentials.create_from_metadata(refreshed(), refreshed, "test")
    one = invoker(client(credentials))
    for _ in range(4):
        one.send(b"")
    keys = {headers["Authorization"].partition("/")[0] for _, _, headers, _ in server.seen}
    assert len(keys) == 4


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("answer", [0, 429, 503])
def test_one_that_is_not_accepted_is_botocore_s_again(
    server: Any, invoker: Any, answer: int, before: int
) -> None:
    one = invoker()
    for _ in range(before):
        one.send(b"before")
    server.answers.append(answer)
    one.send(b"it")
    one.send(b"after")
    seen = [body for *_rest, body in server.seen]
    assert seen == [b"before"] * before + [b"it", b"it", b"after"]
    assert "amz-sdk-invocation-id" in server.seen[before + 1][2]
    assert "amz-sdk-invocation-id" not in server.seen[before + 2][2]


@pytest.mark.parametrize("before", [1, 2])
def test_what_is_wrong_is_said_by_botocore(server: Any, invoker: Any, before: int) -> None:
    one = invoker()
    for _ in range(before):
        one.send(b"")
    server.answers.extend([403, 403])
    with pytest.raises(ClientError, match=r"AccessDeniedException.* so it is"):
        one.send(b"")


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(server: Any, invoker: Any) -> None:
    one = invoker()
    for _ in range(3):
        one.send(b"before")
    server.open[-1].shutdown(socket.SHUT_RDWR)
    one.send(b"after")
    assert [body for *_rest, body in server.seen] == [b"before"] * 3 + [b"after"]
    assert len({connection for connection, *_rest in server.seen}) == 2


def test_those_that_come_at_once_wait_until_the_first_is_known_and_not_for_its_answer(
    server: Any, client: Any, invoker: Any
) -> None:
    made = client()
    asked = []
    made.meta.events.register("before-call.lambda.Invoke", lambda **_: asked.append(1))
    server.together = threading.Barrier(8)
    one = invoker(made)
    threads = [threading.Thread(target=one.send, args=(b"",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(server.seen) == 8
    assert len(asked) == 1


def test_without_credentials_each_is_told_so(client: Any, invoker: Any) -> None:
    class Lost(Credentials):
        def get_frozen_credentials(self) -> Any:
            raise NoCredentialsError

    one = invoker(client(Lost("", "")))
    for _ in range(2):
        with pytest.raises(NoCredentialsError):
            one.send(b"")


def test_a_proxy_is_asked_in_botocore_s_way(server: Any, client: Any, invoker: Any) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    one = invoker(client(endpoint="http://far.invalid", proxies={"http": url}))
    for _ in range(3):
        one.send(b"")
    assert {path for _, path, *_rest in server.seen} == {f"http://far.invalid{URL}"}
    assert ["amz-sdk-invocation-id" in headers for _, _, headers, _ in server.seen] == [True, False, False]


def test_a_connection_with_a_certificate_is_kept_like_any(
    server: Any, client: Any, invoker: Any, tmp_path: Path
) -> None:
    own = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=here"]
    made = ["openssl", "req", "-x509", *own, "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_address[1]}"
    one = invoker(client(endpoint=url, verify=str(tmp_path / "cert.pem")))
    for _ in range(5):
        one.send(b"")
    assert ["amz-sdk-invocation-id" in headers for _, _, headers, _ in server.seen] == [True] + [False] * 4
    assert len({connection for connection, *_rest in server.seen}) == 1


def test_a_client_that_shows_no_connections_is_asked_each_time(
    server: Any, client: Any, invoker: Any
) -> None:
    made = client()

    class Plain:
        invoke = staticmethod(made.invoke)

    one = invoker(Plain())
    for _ in range(2):
        one.send(b"")
    assert all("amz-sdk-invocation-id" in headers for _, _, headers, _ in server.seen)
    assert len({connection for connection, *_rest in server.seen}) == 1
