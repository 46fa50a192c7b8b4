from __future__ import annotations

import pytest

from transparent_mp.cli import doctor
from transparent_mp.store.session import OwnedSession

Capture = pytest.CaptureFixture[str]


def test_all_is_well_and_the_status_says_so(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_REDIS_URL", session.worker_url)
    assert doctor.main([]) == 0
    out = capsys.readouterr().out
    assert "FAIL" not in out
    assert out.endswith("all is well\n")
    assert "ok   Redis from a worker" in out


def test_a_line_that_fails_is_counted_and_told_by_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_REDIS_URL", "redis://127.0.0.1:9")
    assert doctor.main([]) == 1
    assert " fail\n" in capsys.readouterr().out


def test_settings_without_meaning_come_first(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_LEASE", "soon")
    assert doctor.main([]) == 1
    assert capsys.readouterr().out.startswith("FAIL settings: TRANSPARENT_MP_LEASE='soon'")


@pytest.mark.usefixtures("aws")
def test_lambda_is_asked_about_the_function_of_the_setting(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_REDIS_URL", session.worker_url)
    monkeypatch.setenv("TRANSPARENT_MP_FUNCTION", "mine")
    assert doctor.main(["--backend", "lambda"]) == 1
    assert "FAIL the function mine: is not there in eu-west-1" in capsys.readouterr().out
