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

from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives.diff import FOREIGN
from transparent_mp.primitives.tracts import Held, held

#: Blocks that are asked for at a time. More: a larger answer; fewer: the script has larger ones.
MOST = 2048
#: Blocks of several writers, put together by the script, that are asked for whether they changed or not.
FIXED = 16
#: Publications of a writer that are asked for at a time, where as many came before; and single blocks up to
#: which more than one is, since those that are not there are answered, too.
AHEAD, FEW = 4, 64
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


class Next(NamedTuple):
    """What a writer is likely to publish next: single blocks, and tracts."""

    blocks: tuple[int, ...]
    tracts: tuple[tuple[int, int], ...]

    def has(self, blocks: Iterable[int]) -> bool:
        rest = set(blocks).difference(self.blocks)
        for first, stop in self.tracts:
            rest.difference_update(range(first, stop))
        return not rest


#: Blocks, and tracts by their first one, with the names under which they were asked for.
Asked = tuple[list[tuple[int, str]], list[tuple[int, str]]]


class Expected:
    """What one reader expects of one segment."""

    __slots__ = (
        "_ahead",
        "_asked",
        "_fixed",
        "_last",
        "_latest",
        "_mixed",
        "_names",
        "_number",
        "_size",
        "reader",
        "trusted",
        "writers",
    )

    def __init__(self, size: int) -> None:
        """`size`: blocks of the segment."""
        self._size = size
        self.trusted = False
        # More of it than FIXED is put together by the script.
        self._mixed = False
        #: Whose publications are no news.
        self.reader = ""
        #: Processes that were seen to write.
        self.writers: set[str] = set()
        # The next name of a writer -> what it is likely to have.
        self._names: dict[str, Next] = {}
        # Writer -> number of its last publication that was seen.
        self._last: dict[str, int] = {}
        # How many publications of a writer came at a time, of late.
        self._ahead = 1
        # Those whose bytes lay under no name.
        self._fixed: set[int] = set()
        # Number of a question -> blocks and names that it asked for.
        self._asked: dict[int, Asked] = {}
        self._number = 0
        # Version of the last publication that was looked at.
        self._latest = 0

    def question(self) -> tuple[int, list[str]]:
        """A number, and the fields that are asked for: what is known of blocks, their bytes, and tracts."""
        places = [(block, name) for name, one in self._names.items() for block in one.blocks]
        places += [(block, "") for block in self._fixed]
        tracts = [(first, name) for name, one in self._names.items() for first, _stop in one.tracts]
        number = self._number = self._number + 1
        self._asked[number] = (places, tracts)
        self._asked.pop(number - UNDER_WAY, None)
        claims = [f"b:{block}" for block, _name in places]
        return number, claims + [f"{at}:{name}" if name else f"{at}" for at, name in places + tracts]

    def answer(self, number: int, found: list[Any], meta: Sequence[Any], known: int) -> list[Any] | None:
        """Blocks and bytes of all that others changed since `known`; None when not all of it is here.

        `meta`: the journal, and the tracts.
        """
        journal, tracts = meta[0] or b"", self._held(meta[1])
        news = self._news(journal, known)
        asked = self._asked.get(number)
        self._is_later(journal)
        fixed = len(self._fixed)
        answer = None if news is None or asked is None else self._taken(news, tracts, asked, found, known)
        # What the script has put together is asked for the next time.
        self.trusted = answer is not None or len(self._fixed) > fixed
        self._expect(news, tracts)
        return answer

    def learn(self, meta: Sequence[Any], known: int) -> None:
        """Of news that the script gave."""
        journal, tracts = meta[0], self._held(meta[1])
        news = self._news(journal, known)
        # Of an answer in pieces each has it.
        if news == [] or not self._is_later(journal):
            return
        self.trusted = news is not None and all(
            one.name in self._names and self._names[one.name].has(one.blocks) for one in news
        )
        self._expect(news, tracts)

    def _is_later(self, journal: bytes) -> bool:
        latest, self._latest = self._latest, int(journal.partition(b" ")[0] or 0)
        return self._latest > latest

    def _held(self, text: Any) -> list[Held]:
        found = list(held(text))
        if any(one.stop > self._size for one in found):
            raise UntrustedPayloadError(FOREIGN)
        return found

    def _taken(
        self, news: list[News], tracts: list[Held], asked: Asked, found: list[Any], known: int
    ) -> list[Any] | None:
        places, begins = asked
        claims = {block: claim for (block, _name), claim in zip(places, found)}
        contents = dict(zip(places + begins, found[len(places) :]))
        answer: list[Any] = []
        blocks = {block for one in news for block in one.blocks}
        for tract in tracts:
            blocks.difference_update(range(tract.first, tract.stop))
            if (tract.other if tract.writer == self.reader else tract.last) > known:
                data = contents.get((tract.first, tract.name))
                if data is None:
                    return None
                answer += (tract.first, data)
        fixed: set[int] = set()
        for block in blocks:
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

    def _expect(self, news: Iterable[News] | None, tracts: Sequence[Held]) -> None:
        counts: dict[str, set[int]] = {}
        blocks: dict[str, set[int]] = {}
        for one in news or ():
            writer, _, count = one.name.rpartition(".")
            counts.setdefault(writer, set()).add(int(count))
            blocks.setdefault(writer, set()).update(one.blocks)
        self.writers.update(writer.partition(".")[0] for writer in counts)
        self._mixed = self._mixed or len(self._fixed) > FIXED
        if self._mixed or sum(map(len, blocks.values())) > MOST:
            self.trusted, self._names, self._fixed = False, {}, set()
            return
        self._ahead = min(AHEAD, max([self._ahead - 1, 1, *map(len, counts.values())]))
        self._last.update({writer: max(found) for writer, found in counts.items()})
        begun = self._begun(counts, tracts)
        self._names = {}
        for writer in {**blocks, **begun}:
            rest, spans = blocks.get(writer, set()), begun.get(writer, ())
            for first, stop in spans:
                rest.difference_update(range(first, stop))
            following = Next(tuple(sorted(rest)), tuple(spans))
            # A tract that is not there costs no claim.
            ahead = max(self._ahead, 2 if spans else 1) if len(rest) <= FEW else 1
            last = self._last[writer]
            self._names.update({f"{writer}.{last + step}": following for step in range(1, ahead + 1)})

    def _begun(self, counts: Container[str], tracts: Sequence[Held]) -> dict[str, list[tuple[int, int]]]:
        """Of the writers that are known, the tracts: who publishes half of a round has the rest come then."""
        all_of_them = sum(tract.stop - tract.first for tract in tracts) <= MOST
        begun: dict[str, list[tuple[int, int]]] = {}
        for tract in tracts:
            writer = tract.name.rpartition(".")[0]
            if writer in counts or (all_of_them and writer in self._last):
                begun.setdefault(writer, []).append((tract.first, tract.stop))
        return begun

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
