from __future__ import annotations

import builtins
import pickle
import types

import pytest

from transparent_mp.primitives import main_globals, reduction


@pytest.fixture
def main():
    return main_globals.RestoredMain()


def run(main, text):
    exec(text, vars(main))
    return vars(main)


def test_a_waiting_global_arrives_once_whoever_asks(main):
    made = []
    main_globals.expect(main, "BIG", "entry", lambda: made.append(1) or [42], used=True)
    assert main_globals.pending(main) == {"BIG": "entry"}
    space = run(
        main,
        "def f(): return (lambda: BIG)(), len(BIG)\n"
        "class C:\n    def g(self):\n        class D: x = BIG\n        return D.x",
    )
    assert "BIG" in dir(main)
    assert space["f"]() == ([42], 1)
    assert space["C"]().g() is main.BIG is space["BIG"]
    assert made == [1]
    assert not main_globals.pending(main)
    assert space["__builtins__"] is builtins


def test_unknown_names_fail_as_ever(main):
    main_globals.expect(main, "BIG", "entry", lambda: 1, used=True)
    space = run(main, "def f(): return nope")
    with pytest.raises(NameError, match="nope"):
        space["f"]()
    with pytest.raises(AttributeError, match="nope"):
        main.nope  # noqa: B018


def test_who_asks_for_all_globals_finds_them(main):
    main_globals.expect(main, "BIG", "entry", lambda: 1, used=True)
    assert run(main, "def f(): return globals()['BIG']")["f"]() == 1


def test_a_global_set_by_the_program_is_no_longer_awaited(main):
    main_globals.expect(main, "BIG", "entry", lambda: 1, used=True)
    main.BIG = 2
    assert not main_globals.pending(main)
    assert main.BIG == 2


def test_builtins_added_later_are_seen(main, monkeypatch):
    main_globals.expect(main, "BIG", "entry", lambda: 1, used=True)
    monkeypatch.setattr(builtins, "_", str, raising=False)
    assert run(main, "def f(): return _(1)")["f"]() == "1"


def test_a_failed_fetch_can_be_tried_again(main):
    answers = iter([OSError("gone"), None])

    def make():
        error = next(answers)
        if error:
            raise error
        return 5

    main_globals.expect(main, "BIG", "entry", make, used=True)
    space = run(main, "def f(): return BIG")
    with pytest.raises(OSError, match="gone"):
        space["f"]()
    assert space["f"]() == 5


@pytest.mark.parametrize(
    "use",
    [bool, len, iter, str, hash, pickle.dumps, lambda x: x(), lambda x: x.y, lambda x: x[0], lambda x: x + 1,
     lambda x: 1 + x, lambda x: x == 1, lambda x: 1 in x, lambda x: isinstance(x, int),
     lambda x: setattr(x, "a", 1)],
)  # fmt: skip
def test_any_use_of_a_lost_global_says_what_it_was(use):
    lost = main_globals.lost_global("pool", "Pool", "TypeError: no")
    with pytest.raises(TypeError, match=r"global 'pool' of __main__ \(Pool\).*TypeError: no.*make it inside"):
        use(lost)


def test_a_lost_global_can_be_shown_and_sent_on():
    lost = main_globals.lost_global("pool", "Pool", "why")
    assert "pool" in repr(lost)
    copy = pickle.loads(reduction.dumps([lost]))[0]
    assert repr(copy) == repr(lost)


def test_a_lost_module_is_an_import_error():
    lost = main_globals.lost_module("np", "numpy", ImportError("compiled for another machine"))
    with pytest.raises(ImportError, match=r"numpy.*compiled for another"):
        lost.zeros  # noqa: B018


def test_only_a_restored_main_has_pending_globals():
    assert main_globals.pending(types.ModuleType("m")) == {}
