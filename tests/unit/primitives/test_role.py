from __future__ import annotations

import pytest

from transparent_mp.primitives import role

KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}


@pytest.fixture(autouse=True)
def _on_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_LAMBDA_FUNCTION_NAME": "workers"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(role._Role, "keys", ())


def test_the_role_s_are_not_sent_on() -> None:
    assert "AWS_ACCESS_KEY_ID" in role.kept({})
    assert role.without_its_own({**KEYS, "OTHER": "x", "AWS_REGION": "r"}) == {
        "OTHER": "x",
        "AWS_REGION": "r",
    }


def test_those_that_the_program_has_taken_are() -> None:
    role.kept({})
    taken = {**KEYS, "AWS_ACCESS_KEY_ID": "of another role"}
    assert role.without_its_own(taken) == taken


def test_the_client_s_are_sent_on() -> None:
    assert role.kept(KEYS) == ()
    assert role.without_its_own(KEYS) == KEYS
