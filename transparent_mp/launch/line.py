"""A connection that botocore has made, and requests on it that are answered by a status and nothing else.

Way, proxy, certificates and time-outs are botocore's and urllib3's: a line is what one of their requests has
left open. What is written and read here is HTTP/1.1 as far as such answers need it: a status, headers and
`Content-Length: 0`. After any other answer the line is closed, whoever wants to know more asks again.

It knows neither signatures nor what is asked for.
"""

from __future__ import annotations

import select
from typing import Any
from urllib.parse import urlsplit

ACCEPTED = 202
_DEFAULT_PORTS = {"http": 80, "https": 443}
_END = b"\r\n\r\n"
_READ = 65536
#: Of the head of an answer; AWS sends ten short lines.
_LONGEST = 65536


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
        self._sock = sock
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
        try:
            self._sock.sendall(_written(request))
            status, self.is_open = self._heard()
        except BaseException:
            self.is_open = False
            raise
        finally:
            if not self.is_open:
                self.close()
        return status

    def close(self) -> None:
        self._connection.close()

    def _heard(self) -> tuple[int, bool]:
        """Its status, and whether the next request may be made."""
        read = b""
        while _END not in read:
            more = self._sock.recv(_READ)
            if not more or len(read) > _LONGEST:
                raise ConnectionError("no answer")
            read += more
        head, _, body = read.partition(_END)
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise ConnectionError("no answer of HTTP/1.1")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip().lower()
        status = int(words[1])
        lasts = words[0] == "HTTP/1.1" and headers.get("connection", "keep-alive") == "keep-alive"
        whole = headers.get("content-length") == "0" and "transfer-encoding" not in headers and not body
        return status, status == ACCEPTED and lasts and whole


def _written(request: Any) -> bytes:
    """As it goes to the network, with the length of its body."""
    lines = [f"{request.method} {target(request.url)[1]} HTTP/1.1"]
    lines += [f"{name}: {_text(value)}" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(request.data)}")
    head: bytes = "\r\n".join(lines).encode("latin-1") + _END
    return head + bytes(request.data)


def _text(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if "\n" in text or "\r" in text:
        raise ConnectionError("a header of more than one line")
    return text
