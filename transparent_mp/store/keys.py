"""Every key in the store: type, writer, reader, lifetime.

A session's own keys share one hash tag, an object's keys another, so that each script touches one
slot of a cluster per object. Everything written has a time to live, which the session's keeper
renews while the session lives; whoever empties and refills a list sets it again.

session keys (S = tmp:{SESSION})
    S:alive        string   session's lease; set by the client, renewed by its keeper; gone = session over
    S:pids         string   last pid given out, counted up by submit
    S:ready        list     frames of processes that wait for a worker; submit, pass_on -> check_in, exited
    S:workers      zset     worker -> processes it holds, RETIRED more once it takes none; check_in, submit,
                            exited, retire, leave
    S:starting     set      workers launched that have not checked in; submit, client -> check_in, reap
    S:lease:W      string   worker W's lease; set by check_in, renewed by W
    S:worker:W     hash     slots, cores, host of worker W; check_in -> submit
    S:control:W    list     frames to worker W: run, signal, orphan, leave, end; submit, signal, exited,
                            client -> W
    S:running:W    set      pids that worker W holds; submit, check_in, exited -> reap
    S:process:PID  hash     uid, parent, name, worker, fenced once it is taken for dead; submit -> everyone,
                            gone with the process
    S:links:X      hash     line of worker or process X (by worker or uid) -> number and address of its link
                            at the server; admit -> give_up, fence, exited, left
    S:line:L       hash     what line L has applied: n: its last step, r: that one's reply; every step
    S:taken:L      list     what pops of line L have taken lately, the last one first; BLMOVE -> L, should the
                            reply be lost
    S:inbox:UID    list     events for holder UID: exit, output, started, requests; anyone -> UID
    S:children:UID set      pids whose parent is UID; submit -> exited (tells orphans)
    S:holds:UID    set      "OID SIDE" that holder UID holds; hold -> drop, exited
    S:keys         set      every session key in use; scripts -> keeper (renews), end (deletes)
    S:carriers     set      object ids whose messages may hold for their receivers; sender -> drop, exited
    S:objects      set      every object id in use; hold -> keeper (renews), end (deletes)
    S:blob:ID      hash     number -> chunk of a payload too large for a message, of its pieces one behind the
                            other, and its size; sender -> receiver, who deletes it
    S:ack:ID       list     tokens for messages taken; receiver -> sender (flow control)
    S:acks:UID     set      ids of the token lists of sender UID; sender -> exited
    S:answer:ID    list     one answer to a request; client -> asker, seconds
    S:answers      set      answers that nobody has taken yet; client -> asker, keeper (forgets those that are
                            gone), end (deletes them)
    S:content:D    hash     number -> chunk of the large content whose SHA-256 is D; client -> workers;
                            drop_content
    S:lasting      set      digests of the contents that stay until the end; who puts -> drop_content
    S:refused      string   payloads that were refused; who refused them -> client, at the end
    S:depot        string   something lies in the session's depot; who puts it -> client, at the end
    S:names        hash     listener address -> object id; listeners -> clients
    S:segments     hash     name of a SharedMemory -> "OID SIZE WHERE"; enter, moved, unlink -> attach;
                            the names together are one holder, `names`

object keys (O = tmp:{SESSION.OID}); an object has one or two sides
    O:h0, O:h1     set      holders of that side; the object side lives while the set is there
    O:q0, O:q1     list     messages to be read by that side; a semaphore's tokens; who waits for an event,
                            condition or barrier
    O:t:TAKER      list     tasks that a process of a pool has taken, the first one begun; a string once it
                            was given up; the process, done -> reclaim
    O:b:TAKER      string   what it has taken has come there; deleted when all of it is done
    O:w:WAITER     list     the word that ends a waiter's wait; who wakes it -> the waiter, who pops it
    O:d            hash     a segment. BLOCK -> bytes, none for zeros; BLOCK:NAME: those that a publication
                            of that name has put beside it until publish takes them, which deletes what
                            they replace (what comes once more, behind a lost link, may stay until the segment
                            ends); NAME.NUMBER: masks, for as long. o: object id; n: version; w: its writer;
                            f: last version of another than w; s:UID: number of UID's last part; e:UID: where
                            the last of its fetches under way ended; b:BLOCK -> "n f w NAME" of the block;
                            j: journal of a large one, "n NAME BLOCKS;", the latest first, 1,500 characters;
                            t: its tracts, "FIRST STOP n f w NAME STATE;", whose blocks have no b, and whose
                            bytes are at FIRST:NAME; STATE as in publish_large;
                            publish, fetch, writers -> fetch, readers
    O:v            hash     the state of an event (set) or barrier (broken; acting: waiter); set_event,
                            arrive, open_barrier, end_waits. Of a lock, whose holder has ended: name, pid,
                            worker, code; leave_locked -> who waits, release
    O:g            zset     block of a large segment -> version that last changed it; publish -> fetch
"""

from __future__ import annotations

import os

PREFIX = "tmp"

#: Suffixes of the keys that an object may have.
OBJECT_PARTS = ("h0", "h1", "q0", "q1", "d", "v", "g")

#: First process id of ours: above any that a kernel gives (pid_max is at most 2**22), so that
#: one number cannot mean two processes.
FIRST_PID = 5_000_000


#: Length of a name.
ID = 16


def new_id() -> str:
    """A name that no other process, session or object has."""
    return os.urandom(ID // 2).hex()


class Keys:
    """Names of one session's keys."""

    __slots__ = ("_base", "_session")

    def __init__(self, session: str) -> None:
        self._session = session
        self._base = f"{PREFIX}:{{{session}}}:"

    def __call__(self, part: str, of: object = "") -> str:
        """The session key `part`, or that of one worker, process or holder."""
        return f"{self._base}{part}:{of}" if of != "" else self._base + part

    @property
    def base(self) -> str:
        """What every session key begins with; scripts build the key of a worker or holder with it."""
        return self._base

    def object(self, oid: str, part: str) -> str:
        """The key `part` (one of OBJECT_PARTS) of an object."""
        return f"{PREFIX}:{{{self._session}.{oid}}}:{part}"

    def object_base(self, oid: str) -> str:
        return f"{PREFIX}:{{{self._session}.{oid}}}:"

    @property
    def any_object(self) -> str:
        """`object_base` up to the object id: scripts that meet an id put it behind this, then "}:"."""
        return f"{PREFIX}:{{{self._session}."
