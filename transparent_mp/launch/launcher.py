"""The contract of a launcher: it makes workers exist, and says when one is gone if it can see that.

It does not know processes, nor whether a worker has checked in: `fleet` does.
"""

from __future__ import annotations

from typing import Any, Callable, Protocol

#: Told as soon as a launcher sees that a worker has ended: worker, why (for a message).
OnGone = Callable[[str, str], None]


class Launcher(Protocol):
    """Makes workers exist."""

    @property
    def limit(self) -> int | None:
        """Workers that may exist at once; None: as many as there are processes."""

    @property
    def hint(self) -> str:
        """Why workers may not come when `explain` finds nothing; '': they may not reach the store."""

    @property
    def slots(self) -> int:
        """Processes that one worker holds at once."""

    def launch(self, worker: str, ticket: dict[str, Any], on_gone: OnGone) -> None:
        """Begin to make `worker` exist, giving it `ticket`; returns before it has checked in.

        Raises LaunchError when that is refused, or says so later through `on_gone`.
        """

    def explain(self) -> str:
        """Why launched workers do not check in, if that can be found out, else ''. May take seconds."""

    def let_go(self) -> None:
        """In a forked child of the client: close what tells workers, by its end, that the client is gone."""

    def close(self) -> None:
        """The session is over: see that no worker outlives it. Waits for those it can see."""
