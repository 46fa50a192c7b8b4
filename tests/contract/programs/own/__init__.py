"""A package of the program's own, beside its script."""

from own.inner import double

__all__ = ["double"]
