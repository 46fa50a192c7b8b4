"""A line that pops: what was taken from a list is found again when the answer that brought it is lost.

A pop moves the element into a list of the line's own (`taken`), and is answered with it. When the connection
is lost meanwhile, the list has grown by the element, or it is still where it was, and the pop is begun anew.

    pop        sent; `then` runs behind it, once it was served
    ready      whether collect would not wait
    collect    its answers are here, or it was begun anew: the caller waits again
    answers    taken by the caller, and forgotten here

A full store moves nothing; there an element is popped for good, at the risk of losing it with its connection.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Callable, Optional

from transparent_mp.errors import StoreAwayError, StoreError, StoreReplyError
from transparent_mp.store.commands import Ready
from transparent_mp.store.line import STEPS, Line
from transparent_mp.store.link import Command, Link, Reply
from transparent_mp.store.refusals import explained, lacks_scripts

#: Elements, and bytes, in `taken` after which a pop removes those before it. Larger: more memory of the
#: store; smaller: a command more for more pops.
TAKEN, TAKEN_BYTES = 16, 64 * 1024
#: Elements in `taken` behind a pop that was served and cut it short; one less if it was not.
CUT = 2
#: Lists of which the pop is kept ready. More: some hundred bytes each; fewer: packed again by who takes from
#: more of them in turn.
READY = 16
#: Called when the pop has been sent (0.0), and each time that the wait has lasted for as many more seconds as
#: it has answered: looks at something. None: it is not to be called again.
Looks = Optional[Callable[[float], Optional[float]]]
#: What tells the end of a connection and nothing else; where a system lacks it, an error does.
_ENDED = getattr(select, "POLLRDHUP", 0)


class PopLine(Line):
    """A line for one pop at a time."""

    __slots__ = (
        "_count",
        "_counts",
        "_given_up",
        "_outstanding",
        "_polled",
        "_pop",
        "_popped",
        "_ready",
        "_steps",
        "_taken_bytes",
        "_taken_length",
        "_trims",
    )

    def __init__(self, dial: Callable[[Line], None]) -> None:
        super().__init__(dial)
        # The pop that is outstanding, with what runs behind it; how many replies it will have.
        self._pop: tuple[Command, ...] = ()
        # What is popped; whether it goes to `taken`, which it does not where nothing may be written.
        self._popped = ("", True)
        self._counts = False
        # Pops of these lists.
        self._ready: dict[tuple[str, bool], Ready] = {}
        self._count = 0
        # Commands of the step behind it.
        self._steps = 0
        self._given_up = False
        # Whether the pop may have been sent, and its answers were not taken.
        self._outstanding = False
        # Elements in `taken`, the one included that it begins with, and about how many bytes.
        self._taken_length = 1
        self._taken_bytes = 0
        self._trims = False
        # What its wait was last polled with, and for which links; for the one thread that waits.
        self._polled: tuple[Link | None, Link | None, select.poll] | None = None

    def pop(self, key: str, then: Sequence[Command] = (), *, blocking: bool = True) -> None:
        """Send a pop of that list, and `then` to run behind it; collect() has the answers."""
        if self.link is None or not self.link.usable:
            self._reconnect()
        number = self.number
        try:
            self._prepare((key, blocking), then)
            self._begin()
        except BaseException:
            if not self._outstanding:
                self.number = number
            raise

    def _prepare(self, popped: tuple[str, bool], then: Sequence[Command]) -> None:
        self._counts = bool(self.taken)
        self._steps = 0
        if then and self._counts and then[0][0] in STEPS:
            then = self._in_order(then)
        pop = self._ready.get(popped) or self._packed_once(popped)
        self._popped = popped
        # Behind the pop: its answer is the first thing to come. All that lie there but one go, so that each
        # length tells whether the pop was served and whether they have gone; from three elements on.
        length = self._taken_length
        self._trims = length > TAKEN or (length > CUT and self._taken_bytes > TAKEN_BYTES)
        self._pop = (pop, *then, ("LTRIM", self.taken, "0", str(-length))) if self._trims else (pop, *then)
        self._count = 1 + len(then)
        self._given_up = False

    def _in_order(self, then: Sequence[Command]) -> Sequence[Command]:
        """The commands behind a pop, those that change something, which come first, as one step."""
        while self._steps < len(then) and then[self._steps][0] in STEPS:
            self._steps += 1
        self.number += 1
        return (self._numbered(then[: self._steps]), *then[self._steps :])

    def _packed_once(self, popped: tuple[str, bool]) -> Ready:
        """The pop, kept for the next one of that list where it goes to `taken`."""
        key, blocking = popped
        if not self._counts:
            return Ready(("BLPOP", key, "0") if blocking else ("LPOP", key))
        pop = Ready(("BLMOVE" if blocking else "LMOVE", key, self.taken, "LEFT", "LEFT", *("0",) * blocking))
        if len(self._ready) >= READY:
            self._ready.clear()
        self._ready[popped] = pop
        return pop

    def answered(self) -> int:
        """Number of the last step that is known to be applied: not of one behind a pop that still waits."""
        return self.number - 1 if self._pop and self._steps else super().answered()

    def wait(self, timeout: float | None) -> bool:
        """Whether an answer, or the connection's end, is here within `timeout` seconds (None: for ever)."""
        return self.link is None or self.link.wait(timeout)

    def ready(self) -> bool:
        """Whether collect() will not wait: the answers are here, or the connection's end is."""
        if not self.usable:
            return True
        assert self.link is not None
        try:
            self.link.pull()
        except StoreAwayError:
            return True
        return self.complete()

    def collect(self, *, here: bool = False) -> bool:
        """Wait for the answers, which then lie in `link.arrived`; False: the pop was begun anew instead.

        `here`: something has been seen to come.
        """
        link = self.link
        if link is None or not link.usable:
            return self._recovered()
        try:
            link.gather(len(self._pop), here=here)
            return StoreReplyError not in map(type, link.arrived) or self._goes_on(link)
        except StoreAwayError:
            return self._recovered()

    def _goes_on(self, link: Link) -> bool:
        """As collect(), of answers with an error among them."""
        if self._counts and isinstance(link.arrived[0], StoreReplyError) and "OOM" in str(link.arrived[0]):
            # A full store does not even move; what only takes makes room.
            link.arrived.clear()
            self._counts = False
            self._pop = (self._packed_once(self._popped), *self._pop[1 : self._count])
            self._trims = False
            link.send(self._pop)
            return False
        # What stands behind it is to be done by a server that has its scripts again.
        return not (self._counts and lacks_scripts(link.arrived)) or self._recovered()

    def complete(self) -> bool:
        """Whether all answers are here."""
        return self.link is not None and len(self.link.arrived) >= len(self._pop)

    def grew(self, length: int) -> bool:
        """Whether the pop that is outstanding was served, if `taken` has that length."""
        return length != self._taken_length

    @property
    def outstanding(self) -> bool:
        """Whether there may be a pop whose answers are still to be taken."""
        return self._outstanding

    def give_up(self) -> None:
        """The pop is being ended: if its connection is lost it is not begun anew."""
        self._given_up = True

    def poll(self, other: Link | None, alone: bool) -> select.poll:
        """What waits for an answer, and for the end of that other link. `alone`: one thread asks for it."""
        # A poll object serves one thread at a time.
        if alone and self._polled is not None and self._polled[0] is self.link and self._polled[1] is other:
            return self._polled[2]
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        if other is not None:
            poll.register(other.fileno(), _ENDED)
        if alone:
            self._polled = (self.link, other, poll)
        return poll

    def answers(self, into: list[Reply] | None = None) -> list[Reply]:
        """Take what collect() has found: [element or None, *replies].

        `into`: a list that has them from the moment on in which they are taken.
        """
        assert self.link is not None
        replies = list(self.link.arrived)
        del replies[self._count :]
        first = replies[0]
        length, size = self._taken_length, self._taken_bytes
        if self._trims:
            # Behind a pop in vain, too. How large the one is that has stayed is not known.
            length, size = (CUT, len(first)) if isinstance(first, bytes) else (CUT - 1, 0)
        elif self._counts and isinstance(first, bytes):
            length, size = length + 1, len(first) + size
        if isinstance(first, list):
            # BLPOP names the list.
            replies[0] = first[1]
        if self._steps:
            done = replies[1]
            replies[1:2] = done if isinstance(done, list) else [done] * self._steps
        if StoreReplyError in map(type, replies):
            address = self.link.address
            replies = [
                explained(address, one) if isinstance(one, StoreReplyError) else one for one in replies
            ]
        # No signal's handler runs between these: before them nothing is taken, and behind them all is.
        self._taken_length, self._taken_bytes = length, size
        self._pop, self._outstanding = (), False
        if into is None:
            into = replies
        else:
            into += replies
        self.link.arrived.clear()
        return into

    def _begin(self) -> None:
        # From here on what a signal's handler raises leaves a pop that has to be collected.
        self._outstanding = True
        assert self.link is not None
        try:
            self.link.send(self._pop)
        except StoreAwayError:
            self._recovered()
        except BaseException:
            # What of it was sent is not known; a new connection finds out whether it was served.
            self.link.spoil()
            raise

    def _recovered(self) -> bool:
        """After a loss: whether the pop had been served, or is not to be begun anew."""
        while True:
            address = "" if self.link is None else self.link.address
            if not self._counts:
                self.close()
                raise StoreError(
                    f"lost the connection to the store at {address} while something was taken from it"
                )
            self._reconnect()
            link = self.link
            assert link is not None
            try:
                link.send([("LLEN", self.taken), ("LINDEX", self.taken, 0)])
                length, element = link.read(), link.read()
                if self._trims and length <= CUT:
                    # Cut short before the loss, and not to be again.
                    self._pop, self._trims, self._taken_length = self._pop[:-1], False, CUT - 1
                served = length != self._taken_length
                if not served and not self._given_up:
                    link.send(self._pop)
                    return False
                # Trimmed or not, it is the first; what was to be read behind it is read now.
                rest = self._pop[1:]
                if rest:
                    link.send(rest)
                    link.gather(len(rest))
                link.arrived.appendleft(element if served else None)
                if served and not self._trims:
                    self._taken_length = length - 1
                return True
            except StoreAwayError:
                continue
            except BaseException:
                # Its answers would be taken for others'.
                link.spoil()
                raise
