"""Memory that stands for a segment's local memory in unit tests."""

from __future__ import annotations


class Plain:
    """`contents`: bytes, or how many zeros."""

    def __init__(self, contents):
        self.view = memoryview(bytearray(contents))
        self.freed = False

    def isolate(self):
        pass

    def free(self):
        self.freed = True
