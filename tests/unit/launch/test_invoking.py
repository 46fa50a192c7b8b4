from __future__ import annotations

import hashlib
import hmac
import threading
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

import pytest
from botocore.config import Config as Settings
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError
from botocore.session import Session

from transparent_mp.launch import invoking
from transparent_mp.launch.invoking import Invoker

URL = "/2015-03-31/functions/workers/invocations"


class Api(BaseHTTPRequestHandler):
    """Answers with the next of `answers`, 202 where there is none; 0 hangs up. Keeps what came."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        lambda_: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        lambda_.seen.append((self.client_address, self.path, dict(self.headers), body))
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
    server.seen, server.answers = [], deque()
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

    def client(credentials: Any = None) -> Any:
        session = Session()
        session.set_credentials("the-key", "the-secret", "the-token")
        if credentials is not None:
            session._credentials = credentials
        url = f"http://127.0.0.1:{server.server_address[1]}"
        # One attempt: what is tried again here is not botocore's doing.
        settings = Settings(retries={"mode": "standard", "total_max_attempts": 1})
        made.append(
            session.create_client("lambda", endpoint_url=url, region_name="eu-west-1", config=settings)
        )
        return made[-1]

    yield client
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


def test_many_take_one_connection_one_after_another(server: Any, client: Any) -> None:
    invoker = Invoker(client(), "workers")
    for number in range(5):
        invoker.send(b"%d" % number)
    assert [body for *_rest, body in server.seen] == [b"0", b"1", b"2", b"3", b"4"]
    assert len({connection for connection, *_rest in server.seen}) == 1


def test_botocore_asks_once_and_the_others_are_the_same_with_a_signature_of_their_own(
    server: Any, client: Any
) -> None:
    made = client()
    asked = []
    made.meta.events.register("before-call.lambda.Invoke", lambda **_: asked.append(1))
    invoker = Invoker(made, "workers")
    for payload in (b"one", b"another"):
        invoker.send(payload)
    assert len(asked) == 1
    (_, path, first, one), (_, same, second, another) = server.seen
    assert path == same == URL
    assert (one, another) == (b"one", b"another")
    assert first["X-Amz-Invocation-Type"] == second["X-Amz-Invocation-Type"] == "Event"
    assert first["User-Agent"].partition(" ")[0] == second["User-Agent"].partition(" ")[0]
    assert second["X-Amz-Security-Token"] == "the-token"
    assert set(first) - {"amz-sdk-invocation-id", "amz-sdk-request"} == set(second)
    assert signature(first, one).startswith("eu-west-1 lambda ")
    assert signature(second, another).startswith("eu-west-1 lambda ")
    assert first["Authorization"] != second["Authorization"]


def test_credentials_are_refreshed_between_two(server: Any, client: Any) -> None:
    numbers = iter(range(100))

    def refreshed() -> dict[str, str]:
        # Within the time in which botocore must have others.
        expiry = (datetime.now(timezone.utc) + timedelta(seconds=60)).isoformat()
        key = f"key-{next(numbers)}"
        return {"access_key": key, "secret_key": "x", "token": "y", "expiry_time": expiry}

    credentials = RefreshableCredentials.create_from_metadata(refreshed(), refreshed, "test")
    invoker = Invoker(client(credentials), "workers")
    for _ in range(3):
        invoker.send(b"")
    keys = {headers["Authorization"].partition("/")[0] for _, _, headers, _ in server.seen}
    assert len(keys) == 3


@pytest.mark.parametrize("answer", [0, 429, 503])
def test_one_that_is_not_accepted_is_botocore_s_again(server: Any, client: Any, answer: int) -> None:
    invoker = Invoker(client(), "workers")
    invoker.send(b"first")
    server.answers.append(answer)
    invoker.send(b"second")
    assert [body for *_rest, body in server.seen] == [b"first", b"second", b"second"]
    assert "amz-sdk-invocation-id" in server.seen[2][2]


def test_what_is_wrong_is_said_by_botocore(server: Any, client: Any) -> None:
    invoker = Invoker(client(), "workers")
    invoker.send(b"")
    server.answers.extend([403, 403])
    with pytest.raises(ClientError, match=r"AccessDeniedException.* so it is"):
        invoker.send(b"")


def test_a_client_that_shows_no_connections_is_asked_each_time(server: Any, client: Any) -> None:
    made = client()

    class Plain:
        invoke = staticmethod(made.invoke)

    invoker = Invoker(Plain(), "workers")
    for _ in range(2):
        invoker.send(b"")
    assert all("amz-sdk-invocation-id" in headers for _, _, headers, _ in server.seen)
    assert len({connection for connection, *_rest in server.seen}) == 1
