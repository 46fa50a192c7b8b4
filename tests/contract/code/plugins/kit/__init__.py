"""What lies in the package is beside it."""

from .part import PART as PART
