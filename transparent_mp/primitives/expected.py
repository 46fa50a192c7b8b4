"""What others are likely to publish next in a large segment, so that it can be asked for by a plain command.

A writer gives what it publishes names that it counts up (`parts`), and the segment has a journal of the
last publications: version, name, blocks. Who has seen a name knows the next one, and asks for the blocks that
came last time under that name: no byte goes through a script, and what is not there yet costs a nil. Whoever
writes in rounds, as a stencil does, changes the same blocks each time.

    untrusted   the script is asked; its news would have been what was expected: -> trusted
    trusted     the plain command is asked; an answer that has not all the news there are: -> untrusted,
                and the script is asked for what is missing

Nothing is taken from an answer unless all is there. It sends nothing itself: `replica` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives.diff import FOREIGN

#: Blocks that are asked for at a time. More: a larger answer; fewer: the script has larger ones.
MOST = 2048
#: Blocks of several writers, put together by the script, that are asked for whether they changed or not.
FIXED = 16
#: Questions under way of which is known what they asked for.
UNDER_WAY = 16
#: Characters of a publication's blocks in the journal. More: fewer publications in it.
SPEC = 400
#: What stands in the journal for more blocks than that.
MANY = "*"


class News(NamedTuple):
    """One publication of another process."""

    name: str
    blocks: tuple[int, ...]


class Expected:
    """What one reader expects of one segment."""

    __slots__ = ("_asked", "_fixed", "_latest", "_mixed", "_names", "_number", "_size", "reader", "trusted")

    def __init__(self, size: int) -> None:
        """`size`: blocks of the segment."""
        self._size = size
        self.trusted = False
        # More of it than FIXED is put together by the script.
        self._mixed = False
        #: Whose publications are no news.
        self.reader = ""
        # The next name of a writer -> its blocks.
        self._names: dict[str, tuple[int, ...]] = {}
        # Those whose bytes lay under no name.
        self._fixed: set[int] = set()
        # Number of a question -> blocks and names that it asked for.
        self._asked: dict[int, list[tuple[int, str]]] = {}
        self._number = 0
        # Version of the last publication that was looked at.
        self._latest = 0

    def question(self) -> tuple[int, list[str]]:
        """A number, and the fields that are asked for: what is known of each block, then its bytes."""
        places = [(block, name) for name, blocks in self._names.items() for block in blocks]
        places += [(block, "") for block in self._fixed]
        number = self._number = self._number + 1
        self._asked[number] = places
        self._asked.pop(number - UNDER_WAY, None)
        claims = [f"b:{block}" for block, _name in places]
        return number, claims + [f"{block}:{name}" if name else f"{block}" for block, name in places]

    def answer(self, number: int, found: list[Any], journal: Any, known: int) -> list[Any] | None:
        """Blocks and bytes of all that others changed since `known`; None when not all of it is here."""
        news = self._news(journal or b"", known)
        asked = self._asked.get(number)
        self._is_later(journal or b"")
        fixed = len(self._fixed)
        answer = None if news is None or asked is None else self._taken(news, asked, found, known)
        # What the script has put together is asked for the next time.
        self.trusted = answer is not None or len(self._fixed) > fixed
        self._expect(news)
        return answer

    def learn(self, journal: Any, known: int) -> None:
        """Of news that the script gave."""
        news = self._news(journal, known)
        # Of an answer in pieces each has it.
        if news == [] or not self._is_later(journal):
            return
        self.trusted = news is not None and all(
            set(self._names.get(one.name, ())).issuperset(one.blocks) for one in news
        )
        self._expect(news)

    def _is_later(self, journal: bytes) -> bool:
        latest, self._latest = self._latest, int(journal.partition(b" ")[0] or 0)
        return self._latest > latest

    def _taken(
        self, news: list[News], asked: list[tuple[int, str]], found: list[Any], known: int
    ) -> list[Any] | None:
        claims = {block: claim for (block, _name), claim in zip(asked, found)}
        contents = dict(zip(asked, found[len(asked) :]))
        answer: list[Any] = []
        fixed: set[int] = set()
        for block in {block for one in news for block in one.blocks}:
            claim = claims.get(block)
            if claim is None:
                return None
            try:
                last, other, writer, name = f"{claim.decode()} ".split(" ")[:4]
                if int(other if writer == self.reader else last) <= known:
                    continue
            except (ValueError, AttributeError):
                raise UntrustedPayloadError(FOREIGN) from None
            data = contents.get((block, name))
            if data is not None:
                answer += (block, data)
            elif name:
                return None
            else:
                fixed.add(block)
        self._fixed |= fixed
        return None if fixed else answer

    def _expect(self, news: Iterable[News] | None) -> None:
        counts: dict[str, int] = {}
        blocks: dict[str, set[int]] = {}
        for one in news or ():
            writer, _, count = one.name.rpartition(".")
            if int(count) > counts.get(writer, -1):
                counts[writer], blocks[writer] = int(count), set()
            if int(count) == counts[writer]:
                blocks[writer].update(one.blocks)
        self._names = {f"{writer}.{counts[writer] + 1}": tuple(sorted(blocks[writer])) for writer in blocks}
        self._mixed = self._mixed or len(self._fixed) > FIXED
        if self._mixed or sum(map(len, blocks.values())) > MOST:
            self.trusted, self._names, self._fixed = False, {}, set()

    def _news(self, journal: bytes, known: int) -> list[News] | None:
        """What others published since `known`; None where the journal does not say."""
        news: list[News] = []
        try:
            for entry in journal.decode().split(";"):
                version, _, rest = entry.partition(" ")
                if not version:
                    break
                if int(version) <= known:
                    return news
                name, _, blocks = rest.partition(" ")
                if not name.startswith(self.reader + "."):
                    if blocks == MANY:
                        return None
                    int(name.rpartition(".")[2])
                    news.append(News(name, self._blocks(blocks)))
                if int(version) == known + 1:
                    return news
        except (ValueError, AttributeError):
            raise UntrustedPayloadError(FOREIGN) from None
        return None

    def _blocks(self, text: str) -> tuple[int, ...]:
        found: list[int] = []
        for span in text.split(","):
            first, _, last = span.partition("-")
            if not 0 <= int(first) <= int(last or first) < self._size:
                raise ValueError(span)
            found += range(int(first), int(last or first) + 1)
        return tuple(found)


def spec(blocks: Iterable[int]) -> str:
    """Numbers of blocks as the journal has them: 0-17,30."""
    found: list[str] = []
    first = last = -1
    for block in [*sorted(set(blocks)), -1]:
        if block == last + 1 and first >= 0:
            last = block
            continue
        if first >= 0:
            found.append(str(first) if first == last else f"{first}-{last}")
        first = last = block
    text = ",".join(found)
    return text if len(text) <= SPEC else MANY
