"""Every exception that we raise.

Each is also the standard exception that a caller of `multiprocessing` expects in that place, so a
program's own `except` clauses go on working. A message names the cause and then the remedy.
"""

from __future__ import annotations


class TransparentError(Exception):
    """Base of every error of this package."""


class ConfigError(TransparentError, ValueError):
    """A TRANSPARENT_MP_* variable has a value that means nothing."""


class StoreError(TransparentError, ConnectionError):
    """The store cannot be reached, refuses us, or answered with an error."""


class StoreAwayError(StoreError):
    """The store cannot be reached now, or is not ready; it may be in a moment."""

    #: Whether it is there, and may be ready in a moment.
    starting = False


class StoreReplyError(StoreError):
    """The store answered a command with an error."""


class DepotError(StoreError):
    """The depot (a bucket) cannot be used, or lacks a content that it had."""


class LaunchError(TransparentError, OSError):
    """A worker could not be made to exist."""


class WorkerMismatchError(LaunchError):
    """A worker runs another Python or another version of this package than the client."""


class OutlivedError(TransparentError, TimeoutError):
    """A task runs longer than its worker may."""


class WorkerLostError(TransparentError, RuntimeError):
    """The process of a Pool that ran a task has ended before the task had."""


class SessionLostError(StoreError):
    """The session has ended under our feet: its client is gone, or its keys are, or we are taken for dead."""


class UntrustedPayloadError(TransparentError, OSError):
    """A payload from the store does not carry this session's seal and was not unpickled."""


class DeployError(TransparentError, RuntimeError):
    """`transparent-mp deploy` or `destroy` cannot go on."""
