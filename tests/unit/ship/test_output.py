from __future__ import annotations

import os

import pytest

from transparent_mp.ship import output


def test_output_goes_to_the_descriptor_it_was_written_to(capfd: pytest.CaptureFixture[str]) -> None:
    output.write({"kind": "output", "fd": 1, "pid": 1}, b"out\n")
    output.write({"kind": "output", "fd": 2, "pid": 1}, b"err\n")
    # What names no stream of a process is no error of it.
    output.write({"kind": "output", "fd": 7, "pid": 1}, b"other\n")
    assert capfd.readouterr() == ("out\nother\n", "err\n")


def test_it_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written = bytearray()

    def slowly(_fd: int, data: memoryview) -> int:
        written.extend(data[:3])
        return min(3, len(data))

    monkeypatch.setattr(os, "write", slowly)
    output.write({"fd": 1}, b"more than one write takes")
    assert written == b"more than one write takes"


def test_a_closed_descriptor_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_fd: int, _data: memoryview) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "write", refuse)
    output.write({"fd": 1}, b"nobody reads it")
