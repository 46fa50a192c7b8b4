"""A module that warns."""

import warnings


def warn():
    warnings.warn("from a module of the program", UserWarning, stacklevel=1)
