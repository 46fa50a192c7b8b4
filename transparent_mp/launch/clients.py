"""AWS as we reach it: clients of one region, made when first needed, and AWS's errors in our words.

Credentials, profiles, regions and endpoints are found where every AWS tool finds them (AWS_PROFILE,
AWS_REGION, AWS_ENDPOINT_URL, ...). boto3 takes a third of a second to import, so nothing is imported
before the first client is asked for.

It does not know what the clients are used for.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any, Callable

#: Attempts that a call gets, with jitter between them, when AWS throttles or a connection fails.
ATTEMPTS = 8
#: Seconds for a connection, and for each answer. An invocation that is waited for has its own.
CONNECT_TIMEOUT = 10
READ_TIMEOUT = 60

_REFUSED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden")


class Clients:
    """boto3's clients of one region. Thread-safe."""

    def __init__(self, region: str = "") -> None:
        self._wanted_region = region
        self._made: dict[str, Any] = {}
        self._session: Any = None
        self._lock = threading.Lock()

    def __call__(self, service: str) -> Any:
        """The client of a service; made once."""
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    @property
    def region(self) -> str:
        """The region in which its clients work."""
        region: str = self("lambda").meta.region_name
        return region

    def _make(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        if self._session is None:
            # boto3 alone among AWS's tools reads AWS_DEFAULT_REGION only.
            region = self._wanted_region or os.environ.get("AWS_REGION") or None
            self._session = boto3.session.Session(region_name=region)
        settings = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )
        return self._session.client(service, config=settings)


def found(call: Callable[..., Any], *missing: str, **kwargs: Any) -> Any:
    """The call's answer, or None when AWS answers with one of the codes in `missing`."""
    from botocore.exceptions import ClientError

    try:
        return call(**kwargs)
    except ClientError as error:
        if code(error) in missing:
            return None
        raise


def refused(call: Callable[[], Any], error_code: str, containing: str) -> str | None:
    """What AWS says if it refuses the call with that code and that word, else None."""
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        if code(error) == error_code and containing in str(error):
            return str(error)
        raise
    return None


def interruptions() -> tuple[type[Exception], ...]:
    """What an answer raises that is cut off while it is read."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    return IncompleteReadError, ReadTimeoutError, ResponseStreamingError


def code(error: Any) -> str:
    """The code of AWS's error, '' for one that AWS has not sent."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def explained(kind: type[Exception]) -> Iterator[None]:
    """Raise what AWS and the way to it have to say as `kind`, with cause and remedy."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise kind(explain(error)) from error


def explain(error: Any) -> str:
    """Cause and remedy of an error of AWS, or of the way to it."""
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return f"there are no usable AWS credentials ({error}): set AWS_PROFILE, or log in (aws sso login)"
    if name == "ProfileNotFound":
        return f"{error}: AWS_PROFILE must name one that `aws configure list-profiles` shows"
    if name == "NoRegionError":
        return "no AWS region is set: set AWS_REGION, or region in the profile"
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyConnectionError"):
        return f"AWS cannot be reached ({error}): check the network, the region and AWS_ENDPOINT_URL"
    what = getattr(error, "operation_name", "")
    if not what:
        return f"AWS cannot be used: {error}"
    said = " ".join(
        (getattr(error, "response", {}).get("Error", {}).get("Message", "") or str(error)).split()
    )
    if "<html" in said.lower():
        answered = f"{what} with a page of HTML ({code(error)})"
        return f"what answers {answered} is not AWS: check AWS_ENDPOINT_URL, HTTPS_PROXY and the network"
    if code(error) in _REFUSED:
        return f"AWS refuses {what}: {said}; ask who manages the account for that permission"
    if code(error) in ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "RequestExpired"):
        return f"AWS does not take these credentials ({said}): log in again, or set AWS_PROFILE"
    return f"AWS answers {what} with {code(error)}: {said}"
