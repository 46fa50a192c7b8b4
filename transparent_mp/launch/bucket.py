"""Large contents in a bucket: what a session keeps there instead of in its store, by digest.

    PREFIX SESSION / DIGEST     SHA-256 of the content, in hexadecimal

Workers on Lambda have each their own way to object storage, while all share one to the store. What is
there is deleted at the end of the session by its client; a killed one leaves it to the bucket's rule.
boto3 is made ready by client and supervisors before they fork, so that no process pays for it, and none
imports it while a thread of its parent did.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from transparent_mp.errors import DepotError, StoreError, UntrustedPayloadError
from transparent_mp.launch.clients import Clients, explained, found, interruptions
from transparent_mp.originals import original
from transparent_mp.store.depot import Buffer
from transparent_mp.store.session import OwnedSession, Session

log = logging.getLogger("transparent_mp")

#: Below which everything of ours lies, in a bucket that others may use as well.
PREFIX = "transparent-mp/"
#: Bytes of a content that are read at once.
PIECE = 8 << 20
#: Answers that may be cut off while one content is read, and one.
READS = 3
#: Objects that one call may delete.
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True)
class Place:
    """A bucket and the prefix below which we work; '' for all of it."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, text: str) -> Place:
        """From NAME or NAME/PREFIX."""
        name, _, prefix = text.partition("/")
        prefix = prefix.strip("/")
        return cls(name, prefix + "/" if prefix else PREFIX)

    def clear(self, s3: Any) -> None:
        """Delete everything below the prefix."""
        for keys in self._pages(s3):
            objects = [{"Key": key} for key in keys]
            s3.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})

    def _pages(self, s3: Any) -> Iterator[list[str]]:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix, PaginationConfig={"PageSize": _DELETED_AT_ONCE}
        )
        for page in pages:
            keys = [item["Key"] for item in page.get("Contents", ())]
            if keys:
                yield keys


class _UnusableError(Exception):
    """Cause and remedy of AWS's refusal."""


class Bucket:
    """The depot of one session."""

    def __init__(self, text: str, session: str, clients: Clients | None = None) -> None:
        place = Place.of(text)
        self._place = Place(place.bucket, f"{place.prefix}{session}/")
        self._clients = clients or Clients()
        self._put: set[str] = set()
        self._user = 0

    def __repr__(self) -> str:
        return f"<Bucket {self._place.bucket}/{self._place.prefix}>"

    def prepare(self) -> None:
        """Import boto3 and make the client. Makes no connection."""
        with explained(DepotError):
            self._clients("s3")

    def put(self, digest: str, content: Buffer) -> None:
        if digest in self._put:
            return
        with self._explained("be written"):
            self._s3().put_object(Bucket=self._place.bucket, Key=self._key(digest), Body=_body(content))
        self._put.add(digest)

    def stream(self, digest: str) -> Iterator[bytes]:
        seen, done = hashlib.sha256(), 0
        with self._explained("be read"):
            for attempt in range(1, READS + 1):
                try:
                    for piece in self._pieces(digest, done):
                        seen.update(piece)
                        done += len(piece)
                        yield piece
                    break
                except interruptions():
                    # What has come is right by its place, and all of it is checked at the end.
                    if attempt == READS:
                        raise
        if seen.hexdigest() != digest:
            raise UntrustedPayloadError(
                f"the content {digest[:12]} in {self._place.bucket} is not what its digest says: "
                "it was not used"
            )

    def _pieces(self, digest: str, start: int) -> Iterator[bytes]:
        place = {"Bucket": self._place.bucket, "Key": self._key(digest)}
        if start:
            place["Range"] = f"bytes={start}-"
        answer = found(self._s3().get_object, "NoSuchKey", **place)
        if answer is None:
            raise DepotError(
                f"the content {digest[:12]} is not (any more) in the bucket {self._place.bucket}: has "
                "the session ended, or is the bucket's lifecycle rule shorter than the session?"
            )
        with contextlib.closing(answer["Body"]) as body:
            yield from body.iter_chunks(PIECE)

    def clear(self) -> None:
        with self._explained("be cleared"):
            self._place.clear(self._s3())

    def _s3(self) -> Any:
        # The child of a fork has its parent's connections, once there are any, and must not use them.
        me = original("os", "getpid")()
        if self._user not in (0, me):
            self._clients = Clients()
        self._user = me
        return self._clients("s3")

    def _key(self, digest: str) -> str:
        return self._place.prefix + digest

    @contextlib.contextmanager
    def _explained(self, purpose: str) -> Iterator[None]:
        try:
            with explained(_UnusableError):
                yield
        except _UnusableError as error:
            raise DepotError(
                f"the bucket {self._place.bucket} cannot {purpose}: {error}; TRANSPARENT_MP_BUCKET names it, "
                "and `transparent-mp doctor` tries it"
            ) from error.__cause__


def equip(session: Session) -> None:
    """Give a session its depot, if it is to have one; the client's clears it at the end, if it was used.

    Raises DepotError when no client can be made.
    """
    if not session.bucket:
        return
    depot = session.depot = Bucket(session.bucket, session.id)
    depot.prepare()
    if isinstance(session, OwnedSession):
        session.before_end.append(lambda: _clear_at_end(session, depot))


def _clear_at_end(session: OwnedSession, depot: Bucket) -> None:
    def clear() -> None:
        try:
            depot.clear()
        except DepotError as error:
            # The program has done its work; the bucket's own rule removes what is left.
            log.warning("contents of this session stay behind: %s", error)

    try:
        used = session.store.ask("EXISTS", session.keys("depot"))
    except StoreError:
        # The store is lost; what else is to be ended must be.
        used = True
    if used:
        # When the workers have gone: they may still put something.
        session.after_end.append(clear)


def _body(content: Buffer) -> Any:
    # boto3 takes no other buffers.
    return content if isinstance(content, (bytes, bytearray)) else bytes(content)
