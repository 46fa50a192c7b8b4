"""Memory that stands for a segment's local memory in unit tests, and a process that has one segment."""

from __future__ import annotations

from transparent_mp.primitives.memory import Engine


class Plain:
    """`contents`: bytes, or how many zeros."""

    def __init__(self, contents):
        self.view = memoryview(bytearray(contents))
        self.freed = False

    def isolate(self):
        pass

    def free(self):
        self.freed = True


class Process:
    """An engine with one segment, as a process of its own would have it."""

    def __init__(self, session, contents=b"", oid=None):
        self.session = session
        self.engine = Engine(session)
        self.plain = Plain(contents)
        if oid is None:
            self.replica = self.engine.share(self.plain)
            session.store.settle()
        else:
            self.replica = self.engine.replicate(oid, self.plain)

    @property
    def view(self):
        return self.plain.view

    def release(self):
        with self.engine.sending():
            commands = self.engine.publish()
            if commands:
                self.session.store.call(*commands)

    def acquire(self):
        replies = self.session.store.call(*self.engine.fetch())
        self.engine.merge(replies)
        return replies
