"""As whom a process on Lambda speaks to AWS: as the function's role.

    the client's environment holds an access key     it goes along, as the rest of that environment does
    it names a profile, a role, a container, or
    nothing (~/.aws, an instance's role)             the variables of the function's role stay, which every
                                                     client of AWS takes before anything in a file

What names a place of credentials would not do on another machine: a login, a metadata service, a command.
The role's are not sent on: where a process starts another, that one has its own worker's.

It does not know any client of AWS. Elsewhere than on Lambda it changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Set by the runtime, and never the client's on a worker.
_ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"
_KEY = "AWS_ACCESS_KEY_ID"
_KEYS = (_KEY, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
#: Where credentials are to be had.
_PLACES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


class _Role:
    """This process's, if it speaks as the function."""

    keys: tuple[str | None, ...] = ()


def kept(theirs: Mapping[str, str]) -> tuple[str, ...]:
    """Variables of the worker that stay although the client's environment is entered."""
    if _ON_LAMBDA not in os.environ or _KEY in theirs:
        return ()
    _Role.keys = _values(os.environ)
    # Without a profile there would be no region either.
    return (*_KEYS, *_PLACES, *(() if set(_REGIONS) & set(theirs) else _REGIONS))


def without_its_own(environ: dict[str, str]) -> dict[str, str]:
    """This environment for another process: one that this process has changed goes along."""
    if not _Role.keys or _values(environ) != _Role.keys:
        return environ
    return {name: value for name, value in environ.items() if name not in _KEYS}


def _values(environ: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(environ.get(name) for name in _KEYS)
