"""A function's asynchronous invocations, many of them: how botocore asks for one, and the same again.

    first         botocore's `invoke`; what it is about to sign is noted, and lets the others begin
    the next      that request with another payload, signed by its signer, on its connections (`line.py`);
                  for some seconds what differs, digest and signature, is put into one that was signed whole
    not accepted  by `invoke` again, whatever the reason: it knows errors, retries and when to give up

So credentials and their refreshing, endpoint, proxies, certificates and signature are botocore's. Left out
are putting the same request together anew, reading an answer that is empty, and hooks between them: more than
half of its CPU, which is what bounds many launches at once. An event may be delivered twice anyway.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from typing import Any, NamedTuple

from transparent_mp.launch.line import ACCEPTED, Line, target

#: Headers, as they begin, that belong to a single request.
_ITS_OWN = (
    "amz-sdk-",
    "authorization",
    "content-length",
    "content-md5",
    "x-amz-checksum-",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
)
_TOO_MANY, _SERVER_ERROR = 429, 500
#: Seconds, at most, before it is asked again when it has too much to do: botocore's own first pause.
_PAUSE = 1.0
#: Seconds for which a signature's time is used: AWS takes it for five minutes.
_LASTS = 5.0


class Invoker:
    """Invokes one function. Thread-safe."""

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function
        self._noted: _Noted | None = None
        self._first = threading.Lock()
        # Set when it is known what the first one looks like, or that nothing can be known of it.
        self._known = threading.Event()
        # The one used last is the one least likely to have been closed.
        self._idle: list[Line] = []
        # No part of its interface; without it, everything goes by `invoke`.
        self._connections: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        if self._connections is None:
            self._known.set()
        else:
            client.meta.events.register_last("before-sign.lambda.Invoke", self._note)

    def send(self, payload: bytes) -> None:
        """Returns when it has been accepted. Raises what botocore raises."""
        if not self._known.is_set() and self._first.acquire(blocking=False):
            try:
                self._invoke(payload)
            finally:
                self._known.set()
            return
        self._known.wait()
        if self._noted is None or not self._accepted(self._noted, payload):
            self._invoke(payload)

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()

    def _invoke(self, payload: bytes) -> None:
        answer = self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
        # It is empty. Until it has been read, its connection is not free for the next request.
        answer["Payload"].read()

    def _note(self, **signing: Any) -> None:
        self._noted = _Noted(**signing)
        self._known.set()

    def _accepted(self, noted: _Noted, payload: bytes) -> bool:
        from botocore.exceptions import BotoCoreError

        try:
            status = self._asked(noted, payload)
        except (BotoCoreError, OSError):
            # Of the way there, of credentials: `invoke` tries again, or says what is wrong.
            return False
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311
        return status == ACCEPTED

    def _asked(self, noted: _Noted, payload: bytes) -> int:
        """The status of its answer."""
        line = self._idle_line()
        if line is None:
            prepared = noted.signed(payload).prepare()
            # Its connection is ours, and not for others, until its answer has been read.
            prepared.stream_output = True
            answer = self._connections.send(prepared)
            line = Line.of(answer)
            if line is None:
                answer.content  # noqa: B018  read, which frees the connection
                return int(answer.status_code)
            status = ACCEPTED
        else:
            status = line.ask(noted.signed_again(payload))
        if line.is_open:
            self._idle.append(line)
        return status

    def _idle_line(self) -> Line | None:
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return None
            if line.is_quiet():
                return line
            line.close()


class _Noted:
    """A request that botocore was about to sign."""

    def __init__(
        self, request: Any, request_signer: Any, signing_name: str, region_name: str, **rest: Any
    ) -> None:
        self._kind = type(request)
        self._method, self._url = request.method, request.url
        self._headers = {
            name: value for name, value in request.headers.items() if not name.lower().startswith(_ITS_OWN)
        }
        # What whoever sends it would add; as it is signed, it is the same on every way.
        self._headers["Host"] = target(self._url)[0]
        self._context = dict(request.context)
        self._signer = request_signer
        told = request.context.get("signing", {})
        name, region = told.get("signing_name") or signing_name, told.get("region") or region_name
        self._as = (name, region, rest["signature_version"])
        self._pattern: _Pattern | None = None

    def signed(self, payload: bytes) -> Any:
        """The same with another payload, signed."""
        return self._signed(self._signer.get_auth_instance(*self._as), payload)

    def signed_again(self, payload: bytes) -> Any:
        """As `signed`, for a line: by what was signed lately, if possible."""
        auth = self._signer.get_auth_instance(*self._as)
        pattern = self._pattern
        if pattern is not None and pattern.is_for(auth):
            return pattern.filled(auth, payload)
        request = self._signed(auth, payload)
        self._pattern = _Pattern.of(auth, request)
        return request

    def _signed(self, auth: Any, payload: bytes) -> Any:
        request = self._kind(method=self._method, url=self._url, headers=self._headers, data=payload)
        request.context.update(self._context)
        auth.add_auth(request)
        return request


class _Filled(NamedTuple):
    """As much of a request as a line needs."""

    method: str
    url: str
    headers: dict[str, str]
    data: bytes


class _Pattern:
    """A request that was signed, of which others are made: of the same time, by the same credentials."""

    def __init__(self, auth: Any, request: Any, canonical: str) -> None:
        self._request = request
        self._credentials = auth.credentials
        self._until = time.monotonic() + _LASTS
        # The digest of the payload is the last line.
        self._canonical = canonical.rpartition("\n")[0]
        self._headers = dict(request.headers.items())
        self._authorization = self._headers.get("Authorization", "").rpartition("=")[0]

    @classmethod
    def of(cls, auth: Any, request: Any) -> _Pattern | None:
        """Of a request signed by `auth`; None where that signs in another way."""
        signed = dict(request.headers.items())
        if "Authorization" not in signed or not hasattr(auth, "canonical_request"):
            return None
        # It was not there when the signature was made.
        del request.headers["Authorization"]
        canonical = auth.canonical_request(request)
        request.headers["Authorization"] = signed["Authorization"]
        found = cls(auth, request, canonical)
        return found if found.filled(auth, request.data).headers == signed else None

    def is_for(self, auth: Any) -> bool:
        return bool(auth.credentials == self._credentials) and time.monotonic() < self._until

    def filled(self, auth: Any, payload: bytes) -> _Filled:
        request, digest = self._request, hashlib.sha256(payload).hexdigest()
        text = auth.string_to_sign(request, f"{self._canonical}\n{digest}")
        authorization = f"{self._authorization}={auth.signature(text, request)}"
        headers = {**self._headers, "Authorization": authorization}
        return _Filled(request.method, request.url, headers, payload)
