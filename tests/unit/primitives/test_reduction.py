from __future__ import annotations

import copyreg
import functools
import io
import pickle
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import pytest

from transparent_mp.primitives import reduction


class Odd:
    pass


def back(obj):
    return pickle.loads(reduction.dumps(obj))


@pytest.fixture
def _registry(monkeypatch):
    monkeypatch.setattr(ForkingPickler, "_extra_reducers", dict(ForkingPickler._extra_reducers))
    yield
    copyreg.dispatch_table.pop(Odd, None)


@pytest.mark.usefixtures("_registry")
def test_registered_reducers_are_looked_up_live():
    assert type(back(Odd())) is Odd
    copyreg.pickle(Odd, lambda _: (str, ("copyreg",)))
    assert back(Odd()) == "copyreg"
    ForkingPickler.register(Odd, lambda _: (str, ("registered",)))
    assert back(Odd()) == "registered"


def test_closures_share_their_cell():
    def make():
        n = 0

        def up():
            nonlocal n
            n += 1

        return up, lambda: n

    up, get = back(make())
    up()
    up()
    assert get() == 2


def test_a_recursive_closure_and_an_empty_cell():
    def make():
        def fact(n):
            return 1 if n == 0 else n * fact(n - 1)

        def early():
            return later

        if not fact:
            later = 1
        return fact, early

    fact, early = back(make())
    assert fact(5) == 120
    with pytest.raises(NameError):
        early()


def test_a_function_keeps_its_modules_globals_and_attributes():
    def f(a, b=[1], *, c: int = 2):  # noqa: B006
        "doc"
        return Odd, a, b, c

    f.tag = f
    g = back(f)
    assert g(0) == (Odd, 0, [1], 2)
    assert g.__globals__ is globals()
    assert (g.__doc__, g.__kwdefaults__, g.__annotations__["c"]) == ("doc", {"c": 2}, "int")
    assert g.tag is g
    assert g.__qualname__ == f.__qualname__


def test_a_local_class_keeps_its_qualified_name_and_its_super():
    class Base:
        def who(self):
            return "base"

    class Local(Base):
        def who(self):
            return super().who() + "+"

    made = back(Local())
    assert made.who() == "base+"
    assert type(made).__name__ == "Local"


def test_methods_of_lambdas_and_partials():
    class Local:
        go = lambda self: 4  # noqa: E731

    assert back(Local().go)() == 4
    assert back(functools.partial(lambda a, b: a - b, 5))(2) == 3


def test_importable_functions_go_by_reference():
    assert back(subprocess.run) is subprocess.run
    assert back(Odd) is Odd
    assert back([].append).__name__ == "append"


def test_names_are_those_that_main_code_loads(program):
    out = program(
        """
        import io
        from transparent_mp.primitives import reduction
        def kept(x): return x.attribute + A
        loose = [lambda: [B for _ in C], lambda: (lambda: D)]
        def dynamic(): eval("1")
        names = reduction.dump((kept, loose), io.BytesIO()).names
        print(sorted(names), reduction.global_names(dynamic.__code__))
        """
    )
    assert out == "['B', 'C', 'D'] frozenset({'eval'})\n"


def test_modules_are_those_of_what_is_not_of_main():
    def odd():
        pass

    odd.__module__ = None
    pickler = reduction.dump([subprocess.run, Odd, odd, pickle.PicklingError], io.BytesIO())
    assert {"subprocess", Odd.__module__, "_pickle"} <= pickler.modules
    assert None not in pickler.modules


def test_an_error_says_where_why_and_what_to_do():
    class Holder:
        def __init__(self):
            self.parts = {"a": 1, "g": (n for n in ())}

    with pytest.raises(TypeError) as caught:
        reduction.dumps([1, Holder()])
    text = str(caught.value)
    assert "cannot send 'generator' object" in text
    assert "list[1].parts['g']" in text
    assert "make it inside the process" in text


def test_the_programs_own_exception_is_left_alone():
    class MyError(TypeError):
        pass

    class Bad:
        def __reduce__(self):
            raise MyError("mine")

    with pytest.raises(MyError, match=r"^mine$"):
        reduction.dumps(Bad())


def test_deep_recursion_is_a_pickling_error():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(pickle.PicklingError, match="recursion"):
        reduction.dumps(deep)


def test_the_import_is_light():
    code = "import sys; import transparent_mp.primitives.reduction; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    heavy = {
        "multiprocessing.pool",
        "multiprocessing.managers",
        "multiprocessing.queues",
        "numpy",
        "redis",
        "asyncio",
    }
    assert not loaded & heavy
