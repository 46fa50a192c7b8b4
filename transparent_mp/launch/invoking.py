"""A function's asynchronous invocations, many of them: how botocore asks for one, and the same again.

    first         botocore's `invoke`; what it is about to sign is noted
    the next      that request with another payload, signed by its signer, sent on its connections
    not accepted  by `invoke` again, whatever the reason: it knows errors, retries and when to give up

So credentials and their refreshing, endpoint, proxies, certificates and signature are botocore's. What is
left out is putting the same request together anew, parsing an empty answer, and its hooks between them:
half of its CPU, which is what bounds many launches at once. An event may be delivered twice anyway.
"""

from __future__ import annotations

import random
import time
from typing import Any

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
_ACCEPTED, _TOO_MANY, _SERVER_ERROR = 202, 429, 500
#: Seconds, at most, before it is asked again when it has too much to do: botocore's own first pause.
_PAUSE = 1.0


class Invoker:
    """Invokes one function. Thread-safe."""

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function
        self._noted: _Noted | None = None
        # No part of its interface; without it, everything goes by `invoke`.
        self._connections: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        if self._connections is not None:
            client.meta.events.register_last("before-sign.lambda.Invoke", self._note)

    def send(self, payload: bytes) -> None:
        """Returns when it has been accepted. Raises what botocore raises."""
        if self._noted is None or not self._accepted(self._noted, payload):
            answer = self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
            # It is empty. Until it has been read, its connection is not free for the next request.
            answer["Payload"].read()

    def _note(self, **signing: Any) -> None:
        self._noted = _Noted(**signing)

    def _accepted(self, noted: _Noted, payload: bytes) -> bool:
        from botocore.exceptions import BotoCoreError

        try:
            status = self._connections.send(noted.signed(payload)).status_code
        except BotoCoreError:
            # Of the way there, of credentials: `invoke` tries again, or says what is wrong.
            return False
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311
        return bool(status == _ACCEPTED)


class _Noted:
    """A request that botocore was about to sign."""

    def __init__(
        self, request: Any, request_signer: Any, signing_name: str, region_name: str, **rest: Any
    ) -> None:
        self._kind = type(request)
        self._method, self._url = request.method, request.url
        self._headers = [
            (name, value) for name, value in request.headers.items() if not name.lower().startswith(_ITS_OWN)
        ]
        self._context = dict(request.context)
        self._signer = request_signer
        told = request.context.get("signing", {})
        name, region = told.get("signing_name") or signing_name, told.get("region") or region_name
        self._as = (name, region, rest["signature_version"])

    def signed(self, payload: bytes) -> Any:
        """The same with another payload, ready to be sent."""
        request = self._kind(method=self._method, url=self._url, headers=dict(self._headers), data=payload)
        request.context.update(self._context)
        self._signer.get_auth_instance(*self._as).add_auth(request)
        return request.prepare()
