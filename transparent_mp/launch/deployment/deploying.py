"""The order of things: what `deploy` does, and what `destroy` undoes, as plans.

role, log group, bucket, layer, function     each only where something is missing
function, layer, role, log group, bucket     each only if it carries our tag
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

from transparent_mp.errors import DeployError
from transparent_mp.launch.clients import Clients, explained
from transparent_mp.launch.deployment import function, layer, logs, packages, role, storage
from transparent_mp.launch.deployment.made import Made
from transparent_mp.launch.deployment.packages import Archive
from transparent_mp.launch.deployment.plan import Step
from transparent_mp.launch.deployment.wanted import Platform, Wanted


@dataclass(frozen=True)
class Codes:
    """What is built for a function: its code (None: an image), and a layer (None: as it is)."""

    code: Archive | None
    packages: Archive | None = None


class Deployment:
    """One function of an account, as it is and as it is to be. Raises DeployError."""

    def __init__(self, wanted: Wanted, clients: Clients) -> None:
        self._wanted = wanted
        self._made = Made(clients)
        with explained(DeployError):
            self._there: dict[str, Any] | None = function.look(self._made, wanted)

    @property
    def platform(self) -> Platform:
        """What its code is to be built for."""
        return function.platform(self._wanted, self._there)

    @property
    def _role(self) -> str:
        return str(self._there["Configuration"]["Role"]) if self._there else ""

    @property
    def place(self) -> str:
        """Account and region, for who is asked to confirm."""
        with explained(DeployError):
            return f"account {self._made.account}, region {self._made.region}"

    @property
    def registry(self) -> str:
        """The host of the account's container images."""
        with explained(DeployError):
            return self._made.registry

    def creation(self, codes: Codes) -> list[Step]:
        """The steps that are missing."""
        wanted, made = self._wanted, self._made
        archives = [archive for archive in (codes.code, codes.packages) if archive is not None]
        packages.check_size(*archives)
        for archive in archives:
            storage.check(wanted, archive)
        if codes.packages is not None and codes.code is None:
            raise DeployError("an image holds its packages itself: give them to --write-dockerfile")
        with explained(DeployError):
            return [
                *role.steps(made, wanted, self._role, vpc=function.in_vpc(wanted, self._there)),
                *logs.steps(made, wanted),
                *storage.steps(made, wanted),
                *layer.steps(made, wanted, self.platform, codes.packages),
                *function.steps(made, wanted, self._there, self.platform, codes.code),
            ]

    def removal(self) -> list[Step]:
        """The steps that remove what is ours."""
        wanted, made = self._wanted, self._made
        with explained(DeployError):
            bucket = wanted.bucket or role.bucket_of(made, wanted)
            return [
                *function.removal(made, wanted, self._there),
                *layer.removal(made, wanted),
                # Lambda takes a function out of its VPC in the role's name, after the function has gone.
                *(() if function.in_vpc(wanted, self._there) else role.removal(made, wanted)),
                *logs.removal(made, wanted),
                *storage.removal(made, bucket, wanted),
            ]


def carry_out(steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """Take the steps in order. What was done before one fails stays: the next run goes on from there."""
    for number, step in enumerate(steps, 1):
        say(f"{number}/{len(steps)} {step.verb} {step.what}")
        with explained(DeployError):
            step.act()
