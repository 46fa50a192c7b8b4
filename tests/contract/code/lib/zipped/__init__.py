from zipped.deep import depth

__all__ = ["depth", "fail"]


def fail():
    return 1 / 0
