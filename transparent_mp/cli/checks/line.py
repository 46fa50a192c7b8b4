"""One line of the doctor's: what was tried, what came of it, and what to do if that is not well."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """How a thing stands. Only what is WRONG keeps programs from running."""

    WELL = "ok"
    DOUBTFUL = "look"
    WRONG = "FAIL"


@dataclass(frozen=True)
class Line:
    """What was found, and the remedy; '' where none is needed."""

    verdict: Verdict
    what: str
    found: str
    remedy: str = ""

    def text(self) -> str:
        """As it is printed."""
        head = f"{self.verdict.value:<5}{self.what}: {self.found}"
        return f"{head}\n     -> {self.remedy}" if self.remedy else head


def well(what: str, found: str) -> Line:
    """A line that passes."""
    return Line(Verdict.WELL, what, found)


def doubtful(what: str, found: str, remedy: str) -> Line:
    """A line that passes, and says what would be better."""
    return Line(Verdict.DOUBTFUL, what, found, remedy)


def wrong(what: str, found: str, remedy: str) -> Line:
    """A line that fails."""
    return Line(Verdict.WRONG, what, found, remedy)
