from __future__ import annotations

import ast
import ctypes
import mmap
import os
import subprocess
import sys
from typing import Any, Callable

import pytest

from transparent_mp.worker import pages as module
from transparent_mp.worker.pages import Pages

SIZE = mmap.PAGESIZE
#: Large enough for a mapping of its own, which no other object lies in.
PAGES = 256
WRITTEN = [3, 4, 100, 255]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not os.path.exists("/proc/self/pagemap"), reason="the kernel does not tell"
)


class Block:
    """Memory whose pages are known."""

    def __init__(self) -> None:
        self.memory = bytearray(b"memory! " * (PAGES * SIZE // 8))
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        #: The first that is wholly its own.
        self.first = -(-start // SIZE)
        self._offset = self.first * SIZE - start

    def write(self, at: int) -> None:
        self.memory[at * SIZE + self._offset] = 33

    def own(self) -> list[int]:
        """Which of its pages nobody shares."""
        found = module._exclusive([(self.first, self.first + PAGES - 1)])
        return [page - self.first for page in found]


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> Block:
    """All that is looked at: this process may be too large for the rest of it."""
    block = Block()
    monkeypatch.setattr(module, "_private", lambda _size: iter([(block.first, block.first + PAGES - 1)]))
    return block


def in_child(body: Callable[[], Any]) -> Any:
    """What it returns in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(body()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    return ast.literal_eval(text.decode())


def tell(pages: Pages, block: Block) -> None:
    def body() -> None:
        for at in WRITTEN[:-1]:
            block.write(at)
        pages.tell()

    pages.learn()
    in_child(body)
    pages.learn()


def test_what_a_copy_has_written_to_the_next_has_for_its_own(block: Block) -> None:
    pages = Pages()
    tell(pages, block)

    def body() -> tuple[list[int], bool]:
        before = bytes(block.memory)
        pages.make_own()
        return block.own(), block.memory == before

    assert in_child(lambda: block.own()) == []
    assert in_child(body) == (WRITTEN[:-1], True)


def test_the_first_that_tells_is_believed(block: Block) -> None:
    pages = Pages()
    tell(pages, block)
    told = bytes(pages._told)

    def body() -> None:
        block.write(77)
        pages.tell()

    in_child(body)
    assert bytes(pages._told) == told


def test_more_than_one_call_takes(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECES", 2)
    pages = Pages()
    tell(pages, block)

    def body() -> list[int]:
        pages.make_own()
        return block.own()

    assert in_child(body) == WRITTEN[:-1]


def test_what_is_no_page_of_ours_is_not_touched(block: Block) -> None:
    pages = Pages()
    pages.learn()
    pages._told[1], pages._told[2], pages._told[3] = block.first + 9, 1, 2**60
    # More than there is room for.
    pages._told[0] = 2**40
    pages.learn()

    def body() -> list[int]:
        pages.make_own()
        return block.own()

    assert in_child(body) == [9]


def test_what_is_not_there_any_more_is_no_matter(block: Block) -> None:
    pages = Pages()
    pages.learn()
    gone = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    place = ctypes.addressof(ctypes.c_char.from_buffer(gone)) // SIZE
    pages._memory = [(place, place + 1), (block.first, block.first + PAGES - 1)]
    pages._told[1], pages._told[2], pages._told[0] = block.first + 9, place, 3
    pages.learn()
    assert len(pages._pieces) == 4

    def body() -> str:
        ctypes.CDLL(None).munmap(ctypes.c_void_p(place * SIZE), ctypes.c_size_t(SIZE))
        pages.make_own()
        return "alive"

    assert in_child(body) == "alive"


def test_of_a_process_that_has_written_to_much_nothing_is_ready(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    pages = Pages()
    tell(pages, block)
    assert pages._told[0] == 1

    def body() -> list[int]:
        pages.make_own()
        return block.own()

    assert in_child(body) == []


def test_where_the_kernel_tells_nothing_nothing_is_ready(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int) -> int:
        if path.endswith("pagemap"):
            raise PermissionError(13, "Permission denied")
        return os.open(path, flags)

    monkeypatch.setattr(module, "_open", refuse)
    pages = Pages()
    tell(pages, block)
    assert pages._told[0] == 1
    assert len(pages._pieces) == 0


def test_where_the_call_is_refused_nothing_is_ready(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*arguments: int) -> int:
        calls.append(arguments)
        return -1

    monkeypatch.setattr(module, "_writer", lambda: refuse)
    pages = Pages()
    tell(pages, block)
    assert pages._told[0] == 1 + len(WRITTEN[:-1])
    # Found out by the template, with one page.
    assert [count for _, _, count, *_ in calls] == [1]
    pages.make_own()
    assert len(calls) == 1


def test_where_there_is_no_such_call_nothing_is_looked_at(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_writer", lambda: None)
    pages = Pages()
    tell(pages, block)
    pages.make_own()
    assert pages._told[0] == 0
    assert pages._memory == []


#: What is looked at of the memory of a process that has nothing else.
LOOKING = """
import ctypes, mmap
from transparent_mp.worker import pages

SIZE, PAGES = mmap.PAGESIZE, 256
shared = mmap.mmap(-1, PAGES * SIZE)
own = mmap.mmap(-1, PAGES * SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

def looked_at(memory):
    page = ctypes.addressof(ctypes.c_char.from_buffer(memory)) // SIZE
    return any(first <= page < end for first, end in pages._private(SIZE))

print(looked_at(own), looked_at(shared))
pages._LARGEST = PAGES // 2
print(looked_at(own))
"""


def test_shared_memory_and_large_mappings_are_left_out() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKING], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True False\nFalse\n", "")
