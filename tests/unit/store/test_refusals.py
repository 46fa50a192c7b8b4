from __future__ import annotations

import pytest

from transparent_mp.errors import StoreAwayError, StoreError, StoreReplyError
from transparent_mp.store.refusals import Kind, explained, refusal, unusable

REFUSED = {
    "OOM command not allowed when used memory > 'maxmemory'.": (Kind.RAISE, "its memory is full"),
    "MISCONF Redis is configured to save RDB snapshots": (Kind.RAISE, "cannot save its data to disk"),
    "READONLY You can't write against a read only replica.": (Kind.WAIT, "read-only replica"),
    "MASTERDOWN Link with MASTER is down": (Kind.WAIT, "lost its master"),
    "LOADING Redis is loading the dataset in memory": (Kind.WAIT, "still loading"),
    "NOREPLICAS Not enough good replicas to write.": (Kind.RAISE, "too few replicas"),
    "NOAUTH Authentication required.": (Kind.END, "another user or password"),
    "WRONGPASS invalid username-password pair": (Kind.END, "another user or password"),
    "NOPERM this user has no permissions to run the 'get' command": (Kind.RAISE, "may not do this"),
    "BUSY Redis is busy running a script.": (Kind.RAISE, "runs without end"),
    "NOSCRIPT No matching script. Please use EVAL.": (Kind.LOAD, "lost our scripts"),
    "MOVED 3999 127.0.0.1:6381": (Kind.END, "cluster"),
    "CROSSSLOT Keys in request don't hash to the same slot": (Kind.END, "cluster"),
    "CLUSTERDOWN The cluster is down": (Kind.END, "cluster"),
    # As scripts quote it, by version.
    "ERR Error running script (call to f_1): @user_script:9: OOM command not allowed": (Kind.RAISE, "full"),
    "OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_script:1.": (
        Kind.RAISE,
        "full",
    ),
    "ERR AUTH <password> called without any password configured for the default user": (Kind.END, "password"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_a_server_refuses_is_known_with_cause_and_remedy(text: str) -> None:
    kind, cause = REFUSED[text]
    found = refusal(text)
    assert found is not None
    assert found.kind is kind
    assert cause in found.cause
    told = str(explained("redis://host", StoreReplyError(text)))
    assert told.startswith(f"the store at redis://host refuses: {found.cause}; {found.remedy} (")


@pytest.mark.parametrize("text", ["ERR syntax error", "WRONGTYPE Operation against a key", "ERR LOADINGDOCK"])
def test_what_is_about_a_command_is_passed_on(text: str) -> None:
    error = StoreReplyError(text)
    assert refusal(text) is None
    assert explained("redis://host", error) is error


@pytest.mark.parametrize(
    ("address", "error", "kind", "said"),
    [
        ("redis://h", StoreReplyError("LOADING Redis"), StoreAwayError, "still loading its data"),
        ("redis://h", StoreReplyError("NOAUTH"), StoreError, "TRANSPARENT_MP_REDIS_URL"),
        ("redis://h", ConnectionRefusedError(111, "refused"), StoreAwayError, "can be reached from here"),
        ("rediss://h", OSError("certificate verify failed"), StoreError, "TLS failed"),
        ("rediss://h", TimeoutError("timeout"), StoreError, "TLS failed"),
        ("redis://h", StoreReplyError("ERR what"), StoreError, "ERR what"),
    ],
)
def test_why_a_connection_cannot_be_made(
    address: str, error: Exception, kind: type[StoreError], said: str
) -> None:
    told = unusable(address, error)
    assert type(told) is kind
    assert said in str(told)
    assert address in str(told)


def test_a_password_that_redis_py_names_by_its_class_is_known() -> None:
    class AuthenticationError(Exception):
        pass

    assert "another user or password" in str(unusable("redis://h", AuthenticationError("invalid")))


def test_only_a_server_that_starts_is_waited_for_when_it_was_never_met() -> None:
    loading, refused = unusable("a", StoreReplyError("LOADING")), unusable("a", ConnectionRefusedError())
    assert isinstance(loading, StoreAwayError)
    assert loading.starting
    assert isinstance(refused, StoreAwayError)
    assert not refused.starting
