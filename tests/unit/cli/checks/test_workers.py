from __future__ import annotations

import platform
from typing import Any

from transparent_mp.cli.checks import workers
from transparent_mp.cli.checks.line import Line, Verdict
from transparent_mp.config import Config
from transparent_mp.store.session import OwnedSession
from transparent_mp.worker.examination import examine, packages


def judged(**said: Any) -> list[Line]:
    answer = {"python": platform.python_version(), "machine": "x86_64", "packages": packages(), **said}
    return list(workers.judge(answer, "a worker", workers.INVOCATION))


def wrong(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.verdict is Verdict.WRONG]


def test_a_local_worker_is_started_and_asked(session: OwnedSession) -> None:
    lines = list(workers.check_local(Config(redis_url=session.worker_url)))
    assert {line.verdict for line in lines} == {Verdict.WELL}
    assert any(line.what.startswith("Redis from a worker") for line in lines)


def test_a_command_that_fails_is_quoted() -> None:
    (line,) = workers.check_local(Config(worker_command="sh -c 'echo no such host >&2; exit 3'"))
    assert line.verdict is Verdict.WRONG
    assert "status 3: no such host" in line.found
    (line,) = workers.check_local(Config(worker_command="/nowhere/ssh"))
    assert "cannot be started" in line.found


def test_another_python_fails_and_another_patch_does_not() -> None:
    assert [line.what for line in wrong(judged(python="2.7.1"))] == ["Python of a worker"]
    same = ".".join(platform.python_version().split(".")[:2])
    assert not wrong(judged(python=same + ".99"))


def test_our_version_must_be_the_same_and_others_may_differ() -> None:
    (line,) = wrong(judged(packages={**packages(), "transparent_mp": "0.0.1"}))
    assert "0.0.1 there" in line.found
    assert line.remedy.startswith("transparent-mp deploy")
    lines = judged(packages={**packages(), "wrapt": ""})
    assert not wrong(lines)
    assert any(line.verdict is Verdict.DOUBTFUL and "missing there" in line.found for line in lines)


def test_what_a_worker_cannot_reach_comes_with_the_remedy() -> None:
    store, bucket = wrong(judged(store_error="timed out", bucket_error="refused"))
    assert "--security-groups" in store.remedy
    assert "s3:PutObject" in bucket.remedy


def test_a_worker_answers_as_it_is_judged(session: OwnedSession) -> None:
    lines = judged(**examine({"probe": session.worker_url}))
    assert {line.verdict for line in lines} == {Verdict.WELL}
