"""The launcher against a client on paper; against Lambda itself it is tested in tests/on_lambda."""

from __future__ import annotations

import io
import json
import queue
import threading
from typing import Any, Callable

import pytest
from botocore.exceptions import ClientError

from transparent_mp.config import Config
from transparent_mp.launch import aws, hashing
from transparent_mp.launch.aws import LambdaLauncher


class Client:
    """Answers what it is told to; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self.before: Callable[[], Any] = lambda: None
        self._lock = threading.Lock()

    def invoke(self, **words: Any) -> Any:
        self.before()
        with self._lock:
            self.asked.append(words)
            answer = self.answers.pop(0) if self.answers else {"StatusCode": 202, "Payload": io.BytesIO()}
        if isinstance(answer, Exception):
            raise answer
        return answer


def settled(launcher: LambdaLauncher) -> LambdaLauncher:
    """Once nothing is on its way."""
    with launcher._changed:
        assert launcher._changed.wait_for(
            lambda: launcher._threads == launcher._idle and not launcher._waiting, 60
        )
    return launcher


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"because of {code}"}}, "Invoke")


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def gone() -> Any:
    return queue.Queue()


@pytest.fixture
def launch(client: Client, gone: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LambdaLauncher]:
    """A launcher of those settings, and one worker of it."""

    def launch(**settings: Any) -> LambdaLauncher:
        monkeypatch.setattr(aws, "_client", lambda *_: client)
        config = Config(backend="lambda", function="workers", redis_url="redis://:secret@store", **settings)
        launcher = LambdaLauncher(config)
        launcher.launch("w", {"session": "s", "secret": "x"}, lambda *told: gone.put(told))
        return launcher

    return launch


def test_an_invocation_carries_the_ticket_and_is_not_waited_for(
    client: Client, launch: Any, gone: Any
) -> None:
    settled(launch())
    (asked,) = client.asked
    assert asked["FunctionName"] == "workers"
    assert asked["InvocationType"] == "Event"
    sent = json.loads(asked["Payload"])
    assert sent["ticket"] == {"session": "s", "secret": "x"}
    # This interpreter's, or the one of all clients that cannot tell theirs.
    assert sent["hash_seed"] == (hashing.seed() or hashing.LAMBDA_SEED)
    assert gone.empty()


def test_its_limit_is_the_session_s_parallelism(launch: Any) -> None:
    # Settled: a thread that is late would take the next test's client, and its answer.
    assert settled(launch(workers=7)).limit == 7
    assert settled(launch()).limit == 100


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AccessDeniedException", "lambda:InvokeFunction"),
        ("ResourceNotFoundException", "check TRANSPARENT_MP_FUNCTION and the region"),
        ("KMSAccessDeniedException", "kms:Decrypt"),
        ("RequestTooLargeException", "1 MB"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(
    client: Client, launch: Any, gone: Any, code: str, remedy: str
) -> None:
    client.answers = [refusal(code)]
    launch()
    worker, why = gone.get(timeout=60)
    assert worker == "w"
    assert f"because of {code}" in why
    assert remedy in why


def test_a_throttled_launch_is_tried_until_it_is_late(
    client: Client, launch: Any, gone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "PAUSE", 0.001)
    client.answers = [refusal("TooManyRequestsException")] * 3
    settled(launch())
    assert len(client.asked) == 4
    assert gone.empty()
    monkeypatch.setattr(aws, "PAUSE", 60.0)
    client.answers = [refusal("TooManyRequestsException")]
    launch(launch_timeout=0.5)
    assert "raise its concurrency" in gone.get(timeout=60)[1]


def test_many_are_on_their_way_at_once_and_no_more(client: Client, launch: Any) -> None:
    under_way = threading.Barrier(aws.IN_FLIGHT)
    client.before = lambda: under_way.wait(60)
    launcher = launch()
    for number in range(2 * aws.IN_FLIGHT - 1):
        launcher.launch(f"w{number}", {}, lambda *_: None)
    # Each of them waits until as many are on their way: two rounds.
    settled(launcher)
    assert len(client.asked) == 2 * aws.IN_FLIGHT


def test_one_after_another_they_go_from_the_same_thread(
    client: Client, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "IDLE", 60.0)
    by: list[int] = []
    client.before = lambda: by.append(threading.get_ident())
    launcher = settled(launch())
    for number in range(3):
        launcher.launch(f"w{number}", {}, lambda *_: None)
        settled(launcher)
    assert len(by) == 4
    assert len(set(by)) == 1
    launcher.close()
    assert launcher._threads == 0


def test_a_thread_that_has_waited_for_long_ends(
    client: Client, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "IDLE", 0.01)
    launcher = launch()
    with launcher._changed:
        assert launcher._changed.wait_for(lambda: not launcher._threads, 60)
    launcher.launch("w", {}, lambda *_: None)
    settled(launcher)
    assert len(client.asked) == 2


def test_closing_forgets_what_waits(client: Client, launch: Any) -> None:
    may_go = threading.Event()
    client.before = lambda: may_go.wait(60)
    launcher = launch()
    for number in range(100):
        launcher.launch(f"w{number}", {}, lambda *_: None)
    closing = threading.Thread(target=launcher.close)
    closing.start()
    with launcher._changed:
        assert launcher._changed.wait_for(lambda: not launcher._waiting, 60)
    may_go.set()
    closing.join(60)
    assert len(client.asked) <= aws.IN_FLIGHT


def answer(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(said).encode()), **more}


@pytest.mark.parametrize(
    ("said", "more", "why"),
    [
        ({"store_ms": 0.2}, {}, ""),
        ({"store_error": "timed out"}, {}, "cannot use the store (timed out): it must be in a VPC"),
        (
            {"errorType": "ImportError", "errorMessage": "no such module"},
            {"FunctionError": "Unhandled", "LogResult": "bGluZSAxCmxpbmUgMg=="},
            "fails (ImportError: no such module); its log ends: line 1 / line 2",
        ),
    ],
)
def test_the_function_itself_is_asked_what_is_wrong(
    client: Client, launch: Any, said: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    launcher = settled(launch())
    client.answers = [answer(said, **more)]
    explained = launcher.explain()
    assert (why in explained) if why else (explained == "")
    assert "secret" not in explained
    assert json.loads(client.asked[-1]["Payload"]) == {"probe": "redis://:secret@store"}


def test_an_address_that_is_each_machine_s_own_is_told_as_the_reason(client: Client, launch: Any) -> None:
    launcher = settled(launch(worker_redis_url="redis://:secret@127.0.0.1:6379"))
    client.answers = [answer({"store_error": "refused"})]
    why = launcher.explain()
    assert (
        "TRANSPARENT_MP_WORKER_REDIS_URL (now redis://127.0.0.1:6379) must be an address by which other"
        in why
    )
    assert "VPC" not in why


def test_a_forked_child_launches_nobody(client: Client, launch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "IDLE", 0.0)
    launcher = launch()
    with launcher._changed:
        # It has no threads.
        assert launcher._changed.wait_for(lambda: not launcher._threads, 60)
    launcher.let_go()
    assert not launcher._waiting


@pytest.mark.parametrize(
    ("function", "environ", "region"),
    [
        ("workers", {"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ("workers", {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_REGION": "eu-west-1"}, "eu-west-2"),
        ("arn:aws:lambda:us-west-2:123456789012:function:workers", {"AWS_REGION": "eu-west-1"}, "us-west-2"),
    ],
)
def test_the_region_is_that_of_every_aws_client(
    monkeypatch: pytest.MonkeyPatch, function: str, environ: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name, value in {**environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(name, value)
    client = aws._client(function)
    assert client.meta.region_name == region
    assert client.meta.config.retries["mode"] == "standard"
    assert client.meta.config.user_agent.startswith("Botocore/")
    client.close()


def test_the_application_s_name_is_part_of_botocore_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "the-app")
    client = aws._client("workers")
    assert client.meta.config.user_agent.endswith(" app/the-app")
    client.close()
