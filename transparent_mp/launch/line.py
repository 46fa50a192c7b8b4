"""A connection that botocore has made, and requests on it that are answered by a status and nothing else.

Way, proxy, certificates and time-outs are botocore's and urllib3's: a line is what one of their requests has
left open. The standard library's HTTP is spoken on it. After any other answer than an empty acceptance the
line is closed: whoever wants to know more asks again.

It knows neither signatures nor what is asked for.
"""

from __future__ import annotations

import select
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

ACCEPTED = 202
_DEFAULT_PORTS = {"http": 80, "https": 443}


def target(url: str) -> tuple[str, str]:
    """Host, with its port where it needs one, and path of a URL, as a request names them."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port == _DEFAULT_PORTS.get(parts.scheme):
        host = host.rpartition(":")[0] if parts.port else host
    path = parts.path or "/"
    return host, f"{path}?{parts.query}" if parts.query else path


class Line:
    """One connection. For one thread at a time."""

    def __init__(self, answer: Any, connection: Any, sock: Any) -> None:
        # It closes its connection when it goes.
        self._answer = answer
        self._connection = connection
        self._http = HTTPConnection("connected")
        self._http.auto_open = 0
        self._http.sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.is_open = True

    @classmethod
    def of(cls, answer: Any) -> Line | None:
        """What an unread answer of botocore's has left open; None where that is of no use."""
        connection = getattr(answer.raw, "connection", None)
        sock = getattr(connection, "sock", None)
        empty = answer.headers.get("Content-Length") == "0"
        # Proxies may want a request said in another way.
        if answer.status_code != ACCEPTED or not empty or sock is None or getattr(connection, "proxy", True):
            return None
        return cls(answer, connection, sock)

    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody asked for, such as its end."""
        return not self._poll.poll(0)

    def ask(self, request: Any) -> int:
        """The status of the answer. Raises OSError."""
        self.is_open = False
        try:
            status = self._asked(request)
        except (HTTPException, ValueError) as error:
            raise ConnectionError(f"no answer of HTTP/1.1: {error}") from error
        finally:
            if not self.is_open:
                self.close()
        return status

    def close(self) -> None:
        self._connection.close()

    def _asked(self, request: Any) -> int:
        http = self._http
        http.putrequest(request.method, target(request.url)[1], skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            http.putheader(name, value)
        http.putheader("Content-Length", str(len(request.data)))
        http.endheaders(request.data)
        with http.getresponse() as answer:
            self.is_open = answer.status == ACCEPTED and answer.length == 0 and not answer.will_close
            return answer.status
