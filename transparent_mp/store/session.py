"""A session: one run of a client with everything it started, as one process of it sees it.

A `Session` is what a process needs to take part: the session's name, its secret, the store, and
the process's own name in it (its *holder* id). The client opens one (`open_session`); processes on
workers are given theirs by their supervisor (`join`); neither happens at import.

The session lives while its lease does: `keeper` renews it from a process of its own, so that a
client that computes for minutes without letting go of the interpreter keeps it, and one that is
killed loses it at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from transparent_mp.config import Config
from transparent_mp.errors import SessionLostError, StoreAwayError, UntrustedPayloadError
from transparent_mp.hidden import Address, Hiding, Secret
from transparent_mp.store import keeper
from transparent_mp.store.admission import Admission
from transparent_mp.store.connect import connect, for_workers
from transparent_mp.store.depot import Depot
from transparent_mp.store.keeper import KEY_LEASES, dismiss
from transparent_mp.store.keys import ID as ID
from transparent_mp.store.keys import Keys
from transparent_mp.store.keys import new_id as new_id
from transparent_mp.store.link import Arg, Command, Link
from transparent_mp.store.refusals import LOST_KEYS
from transparent_mp.store.replay import NUMBER, Numbers, Seen
from transparent_mp.store.scripts import loading, script
from transparent_mp.store.seal import Seal
from transparent_mp.store.store import Store

#: What a sealed event begins with; what a script sends, which has no secret, begins with a brace.
SEALED = b"="
#: Milliseconds for workers to read that their session has ended.
END_MS = 10_000


class Counting:
    """A block in which what is refused is counted."""

    # No generator: every message passes here.
    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        if kind is not None and issubclass(kind, UntrustedPayloadError):
            self._session.refused()


@dataclass(repr=False)
class Session:
    """One process's part in a session."""

    id: str
    secret: bytes
    #: Address of the store as workers reach it.
    worker_url: str
    #: This process's holder id, unique in the session.
    uid: str
    #: Holder id of the client.
    client: str
    #: Workers there may be at once, 0 for any number.
    limit: int
    #: Seconds.
    lease: float
    #: The machine this process runs on: the client's, or a worker.
    machine: str
    store: Store
    config: Config
    #: As what its links are admitted: "worker" W or "process" PID of a worker, which may be taken for dead,
    #: or "" for one that only the session's end ends.
    member: tuple[str, str] = ("", "")
    #: Object storage for large contents, '' for none; `depot` is what works with it, once it is given one.
    bucket: str = ""
    depot: Depot | None = None
    #: Where a process on a worker has contents from that its worker shares.
    shelf: Callable[[Session, str], Any] | None = None
    #: What processes may find of the client's files (`ship.served`).
    served: dict[str, Any] = field(default_factory=dict)
    keys: Keys = field(init=False)
    seal: Seal = field(init=False)
    #: Of what this process sends elsewhere than to an end of a pipe.
    numbers: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Keys(self.id)
        self.seal = Seal(self.secret)
        self.numbers = Numbers()

    def __repr__(self) -> str:
        return f"<Session {self.id} uid={self.uid}>"

    @property
    def ttl(self) -> int:
        """Milliseconds that a key lives without being renewed."""
        return int(self.lease * KEY_LEASES * 1000)

    def script(self, name: str, parts: Sequence[str], args: Sequence[Arg] = ()) -> Command:
        """The command that runs a script over session keys."""
        return script(name, [self.keys(part) for part in parts], args)

    def cut(self, links: Sequence[bytes]) -> None:
        """End links of a member that was taken for dead, as give_up and fence name them."""
        for link in links:
            number, name = link.split(b" ")
            # After a restart of the store the number may be another's.
            self.store.cast(("CLIENT", "KILL", "ID", number, "ADDR", name))

    def push_event(self, uid: str, frame: bytes) -> list[Command]:
        """Commands that append an event to the inbox of `uid`, sealed."""
        inbox = self.keys("inbox", uid)
        numbered = self.numbers.next(self.uid) + frame
        event = SEALED + self.seal.close(inbox, numbered)
        return [("RPUSH", inbox, event), ("PEXPIRE", inbox, self.ttl), ("SADD", self.keys("keys"), inbox)]

    def open_event(self, inbox: str, event: bytes, seen: Seen) -> bytes:
        """The frame of a sealed event. Raises UntrustedPayloadError also when it was received before."""
        numbered = self.seal.open(inbox, memoryview(event)[len(SEALED) :])
        if not seen.first(numbered[:NUMBER]):
            raise UntrustedPayloadError(
                f"an event at {inbox!r} was received before: something else has put it there again, with "
                "access to this Redis; it was ignored"
            )
        return bytes(numbered[NUMBER:])

    def refused(self) -> None:
        """Count a payload that was refused; the client tells at the session's end."""
        key = self.keys("refused")
        self.store.soon(("INCR", key), ("PEXPIRE", key, self.ttl), ("SADD", self.keys("keys"), key))

    def counting(self) -> Counting:
        """Count what is refused within."""
        return Counting(self)

    def ticket(self) -> dict[str, Any]:
        """What another process needs to join, secret included: for launches and real forks only."""
        return Hiding(
            {
                "session": self.id,
                "secret": self.secret.hex(),
                "url": self.worker_url,
                "client": self.client,
                "limit": self.limit,
                "lease": self.lease,
                "patience": self.store.patience,
                "machine": self.machine,
                "bucket": self.bucket,
                "served": self.served,
            }
        )


def join(ticket: dict[str, Any], uid: str, config: Config, member: tuple[str, str] = ("", "")) -> Session:
    """Take part in a session that another process opened; see `Session.member`."""
    session = _part(ticket, config, _store(ticket))
    session.uid, session.member = uid, member
    session.store.admit(Admission(session.keys, session.ttl, uid, member))
    return session


def stand_by(ticket: dict[str, Any], config: Config, asked: Callable[[], Link]) -> Session:
    """Prepare for a part that `begin` gives; until then, who uses the store has `asked` raise StoreError."""
    return _part(ticket, config, Store(asked))


def approach(session: Session, ticket: dict[str, Any]) -> None:
    """Have a session that has stood by ready to use the store, in each of the children to come."""
    session.store = _store(ticket)


def begin(session: Session, uid: str, member: tuple[str, str]) -> None:
    """In such a child: take part."""
    session.uid, session.member = uid, member
    session.store.inherit(Admission(session.keys, session.ttl, uid, member))


def _part(ticket: dict[str, Any], config: Config, store: Store) -> Session:
    return Session(
        id=ticket["session"],
        secret=Secret(bytes.fromhex(ticket["secret"])),
        worker_url=Address(ticket["url"]),
        uid="",
        client=ticket["client"],
        limit=ticket["limit"],
        lease=ticket["lease"],
        machine=ticket["machine"],
        store=store,
        config=config,
        bucket=ticket["bucket"],
        served=ticket.get("served", {}),
    )


def _store(ticket: dict[str, Any]) -> Store:
    url = Address(ticket["url"])
    return Store(lambda: connect(url), loading(), ticket["patience"], prepared=True)


@dataclass(repr=False)
class OwnedSession(Session):
    """The client's session: it also owns the keeper and, when there is one, the embedded server."""

    #: Called at the end of the session, while the store still works.
    before_end: list[Callable[[], None]] = field(default_factory=list)
    #: Called when workers have been told.
    after_end: list[Callable[[], None]] = field(default_factory=list)
    #: Called in a child that the program forks by itself.
    in_child: list[Callable[[], None]] = field(default_factory=list)
    keeper: subprocess.Popen[bytes] | None = None
    #: What another keeper is to be told, should this one end; None with an embedded server, which ends too.
    task: dict[str, Any] | None = None
    _pid: int = field(default_factory=os.getpid)

    def let_go(self) -> None:
        """In a forked child: close what tells others, by its end, that the client is gone."""
        if self.keeper is not None and self.keeper.stdin is not None:
            self.keeper.stdin.close()
        for callback in self.in_child:
            callback()

    def look(self) -> None:
        """Every third of a lease: replace a keeper that was killed. Raises SessionLostError at its end."""
        if self.task is not None and self.keeper is not None and self.keeper.poll() is not None:
            dead, self.keeper = self.keeper, keeper.begin(self.task)
            keeper.met(self.keeper)
            assert dead.stdin is not None
            dead.stdin.close()
        if not self.store.ask("EXISTS", self.keys("alive")):
            lost = SessionLostError(f"the session is over: its lease was not renewed in time, or {LOST_KEYS}")
            self.store.lose(lost)
            raise lost

    def end(self) -> None:
        """End the session: workers are told, keys deleted; the keeper stops an embedded server and leaves."""
        if os.getpid() != self._pid:
            # A forked child of the client ends without its parent's session.
            return
        parts = ("alive", "keys", "objects", "workers", "starting", "answers")
        # A store that is gone has nothing left to delete.
        with contextlib.suppress(OSError):
            for callback in self.before_end:
                callback()
            end = self.script("end_session", parts, (self.keys.base, self.keys.any_object, END_MS))
            refused, _ = self.store.call(("GET", self.keys("refused")), end)
            if refused is not None:
                _tell_refused(refused)
        for callback in self.after_end:
            callback()
        self.store.close()
        if self.keeper is not None:
            dismiss(self.keeper)


def _tell_refused(refused: bytes) -> None:
    # Not needed before.
    import logging

    logging.getLogger("transparent_mp").warning(
        "%s payloads from the store were refused in this session: something else writes to this Redis under "
        "our keys; give it a user and password of its own (docs/security.md)",
        refused.decode("ascii", "replace"),
    )


#: Seconds for which a session that opens makes its connection again when that is lost, and between two
#: attempts. Longer: a server that hangs up on everybody is complained of later.
OPENING, AGAIN = 2.0, 0.01


def open_session(config: Config, begun: keeper.Begun | None = None) -> OwnedSession:
    """Open the client's session; `begun`: its keeper. Raises StoreError when the store cannot be used."""
    uid = new_id()
    task, process = begun or keeper.begun(config)
    url = keeper.met(process)
    session = OwnedSession(
        id=task["session"],
        secret=Secret(secrets.token_bytes(32)),
        worker_url=for_workers(config.worker_redis_url or url),
        uid=uid,
        client=uid,
        limit=0,
        lease=config.lease,
        machine="client",
        # An embedded server that has ended does not come back.
        store=Store(lambda: connect(url), loading(), config.lease if config.redis_url else 0.0),
        config=config,
        bucket=config.bucket,
        keeper=process,
        task=task if config.redis_url else None,
    )
    try:
        _announce(session)
        session.store.admit(Admission(session.keys, session.ttl, session.uid))
    except BaseException:
        dismiss(process)
        raise
    return session


def _announce(session: Session) -> None:
    keys = session.keys
    names = [keys(part) for part in ("pids", "ready", "workers", "starting", "names")]
    commands: tuple[Command, ...] = (
        ("SET", keys("alive"), session.uid, "PX", int(session.lease * 1000)),
        ("SADD", keys("keys"), *names),
        ("PEXPIRE", keys("keys"), session.ttl),
    )
    deadline = time.monotonic() + OPENING
    while True:
        try:
            session.store.call(*commands)
            return
        except StoreAwayError as error:
            # Lost: a second time they change nothing. An address at which nobody listens is none.
            if isinstance(error.__context__, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
        # Nothing tells when a network is better.
        time.sleep(AGAIN)
