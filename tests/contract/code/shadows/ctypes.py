"""The program's own, not the standard library's."""

WHO = "program"


class Thing:
    pass
