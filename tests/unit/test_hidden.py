from __future__ import annotations

import json
import pickle

import pytest

from transparent_mp.hidden import Address, Hiding, Password, Secret, public, without_addresses


def test_they_are_what_they_hold_and_do_not_show_it() -> None:
    for hidden, plain in (
        (Secret(b"hush"), b"hush"),
        (Password("hush"), "hush"),
        (Address("redis://u:hush@h:1/2"), "redis://u:hush@h:1/2"),
        (Hiding(secret="hush"), {"secret": "hush"}),
    ):
        assert hidden == plain
        assert "hush" not in repr([hidden])
        assert pickle.loads(pickle.dumps(hidden)) == plain
    assert json.loads(json.dumps(Hiding(url=Address("redis://:p@h")))) == {"url": "redis://:p@h"}
    assert repr(Hiding(secret=1, url=2)) == "<secret, url>"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/2", "redis://host:1/2"),
        ("rediss://user:hush@host:1/2?ssl_cert_reqs=none", "rediss://host:1/2"),
        ("redis://:hu/sh@host:1", "redis://host:1"),
        ("redis://:hu#sh@host:1", "redis://host:1"),
        ("redis://:hush?hush@host:1", "redis://..."),
        ("redis://host?password=hush", "redis://host"),
        ("redis://host?password=hu@hush", "redis://..."),
        ("unix://u:hush@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://:hush@[::1", "redis://[::1"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert public(url) == shown


def test_an_environment_without_addresses() -> None:
    environ = {"A": "1", "TRANSPARENT_MP_REDIS_URL": "x", "TRANSPARENT_MP_WORKER_REDIS_URL": "y"}
    assert without_addresses(environ) == {"A": "1"}
