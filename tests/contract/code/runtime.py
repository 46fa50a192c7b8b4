"""What fork programs rely on: globals, containers, classes made at run time, and large data."""

import collections
import dataclasses
import enum
import functools
import multiprocessing as mp
import sys
import types
import typing

import changing
from changing import TABLE

changing.CONF["late"] = 1
changing.COUNTER = 9
changing.create("Made", gene=3)
Point = collections.namedtuple("Point", "x y")
WORDS = {str(number): number for number in range(60_000)}
BLOB = bytearray(2_000_000)


class Color(enum.Enum):
    RED = 1


class Bits(enum.IntFlag):
    A = 1
    B = 2


Made = type("Made", (), {"v": 3, "get": lambda self: self.v})


def factory():
    class Inner:
        def __init__(self, z):
            self.z = z

        def __eq__(self, other):
            return type(other) is type(self) and other.z == self.z

    return Inner


Inner = factory()
Inner.__qualname__ = "Inner"


@dataclasses.dataclass
class Data:
    a: int
    b: list = dataclasses.field(default_factory=list)


class Typed(typing.NamedTuple):
    q: int


runtime_module = types.ModuleType("runtime_module")
exec("def triple(x): return x * K\nK = 3", vars(runtime_module))
sys.modules["runtime_module"] = runtime_module
sentinel = object()
registry = {}
cached = functools.lru_cache(None)(lambda x: x + 1)


def register(function):
    registry[function.__name__] = function
    return function


@register
def one():
    return 1


@register
def two():
    return one() + 1


class Meta(type):
    def __new__(mcs, name, bases, space):
        made = super().__new__(mcs, name, bases, space)
        registry[name] = made
        return made


class WithMeta(metaclass=Meta):
    pass


def work(given, mark=sentinel):
    seen = [
        changing.CONF,
        changing.COUNTER,
        TABLE is changing.TABLE,
        TABLE,
        changing.Made.gene,
        isinstance(given, Inner),
        registry["two"](),
        registry["WithMeta"] is WithMeta,
        runtime_module.triple(3),
        mark is sentinel,
        cached(4),
        changing.bump(),
        changing.tenth(),
        WORDS["77"],
        len(WORDS),
        BLOB[:3],
        len(BLOB),
    ]
    return seen, Color.RED, Bits.A | Bits.B, Point(1, 2), Made(), Inner(5), Data(1), Typed(4), changing.Made()


def change(queue):
    changing.CONF["late"] += 1
    changing.LARGE[10] = "changed"
    WORDS["77"] = "changed"
    BLOB[0] = 9
    queue.put((changing.CONF, changing.tenth(), WORDS["77"], BLOB[:3]))


def below(queue):
    process = mp.Process(target=change, args=(queue,))
    process.start()
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    TABLE.append("mutated")
    changing.bump()
    changing.LARGE[10] = "at start"
    WORDS["77"] = "at start"
    with mp.Pool(2) as pool:
        changing.LARGE[10] = WORDS["77"] = "after start"
        BLOB[:3] = b"no!"
        seen, red, bits, point, made, inner, data, typed, late = pool.apply(work, (Inner(9),))
    print(*seen, sep="\n")
    print(red is Color.RED, bits, type(point) is Point, type(made) is Made, made.get(), inner == Inner(5))
    print(data, type(data) is Data, type(typed) is Typed, type(late) is changing.Made)
    queue = mp.SimpleQueue()
    for target in (change, below, lambda queue: change(queue)):
        process = mp.Process(target=target, args=(queue,))
        process.start()
        print(queue.get())
        process.join()
    print(changing.CONF, changing.tenth(), WORDS["77"], BLOB[:3])
