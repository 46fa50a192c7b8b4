"""A plug-in."""


def name():
    return __name__
