"""What `deploy` is asked for, and the names that follow from it.

None leaves a function that is there as it is and gives a new one the default, so a second `deploy`
without words changes nothing but the code.

Everything made carries the tag `TAG` with the function's name (a layer, which cannot be tagged, has it
in its description): by it `destroy` knows what is ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: What AWS calls for each invocation: module and function.
HANDLER = "transparent_mp.cli.handler.handler"

TAG = "transparent-mp"
#: Megabytes that give one whole vCPU.
MEMORY = 1769
#: Seconds, the most there are: a worker leaves by itself when nothing is to do.
TIMEOUT = 900
#: Megabytes of /tmp.
STORAGE = 512
#: Days; AWS knows these only.
RETENTION = 14
RETENTIONS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
#: Seconds that a launch may wait in AWS's own queue: whoever wanted the worker has given it up by then.
EVENT_AGE = 60

ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Wanted:
    """A function with what belongs to it."""

    function: str
    python: str | None = None
    architecture: str | None = None
    memory: int | None = None
    timeout: int | None = None
    storage: int | None = None
    #: None: as it is; (): no VPC.
    subnets: Sequence[str] | None = None
    security_groups: Sequence[str] | None = None
    #: None: as it is; -1: no share of its own.
    concurrency: int | None = None
    retention: int | None = None
    #: ARN of a role that is there; None: one of our own.
    role: str | None = None
    #: NAME or NAME/PREFIX.
    bucket: str | None = None
    environ: Mapping[str, str] | None = None
    #: Without our layer.
    no_layer: bool = False
    #: URI of a container image; None: a zip.
    image: str | None = None

    @property
    def log_group(self) -> str:
        return f"/aws/lambda/{self.function}"

    @property
    def layer(self) -> str:
        return f"{self.function}-packages"

    @property
    def tags(self) -> dict[str, str]:
        return {TAG: self.function}

    def role_name(self, region: str) -> str:
        """Roles belong to an account, functions to a region of it."""
        return f"{self.function}-{region}"[:64]


@dataclass(frozen=True)
class Platform:
    """Where a function's code runs."""

    python: str
    architecture: str

    def __str__(self) -> str:
        return f"Python {self.python} on {self.architecture}"

    @property
    def runtime(self) -> str:
        return "python" + self.python


def this_python() -> str:
    """Major and minor version of this interpreter: a worker must have the client's."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def this_architecture() -> str:
    """This machine's in Lambda's words: then a client's compiled modules can serve its workers."""
    return ARCHITECTURES.get(os.uname().machine, "x86_64")
