from __future__ import annotations

from typing import Callable

import pytest

Run = Callable[..., None]


def test_patched_before_anyone_copies(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        assert "foreign.leaf" not in sys.modules and "ours" not in sys.modules
        from foreign import branch
        import ours
        assert branch.Thing is branch.leaf.Thing is ours.Thing
        assert branch.make() == "ours, not plain"
        assert ours.PlainThing().__getstate__() == "our state"
        assert branch.leaf.untouched() == "plain"
        """
    )


def test_replacement_s_module_sees_the_original(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        import foreign.leaf, ours
        assert ours.AS_SEEN == ours.PlainThing.who == "plain"
        assert intercept.original("foreign.leaf", "Thing") is ours.PlainThing
        """
    )


def test_replacement_s_module_may_be_imported_first(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        import ours, foreign.leaf
        assert ours.AS_SEEN == "plain" and foreign.leaf.Thing is ours.Thing
        assert foreign.leaf.make() == "ours, not plain"
        """
    )


def test_spec_and_loader_are_the_original_ones(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        import foreign.leaf as leaf, inspect
        from importlib.machinery import SourceFileLoader
        assert type(leaf.__loader__) is type(leaf.__spec__.loader) is SourceFileLoader
        assert leaf.LOADER_WHILE_EXECUTED == ("SourceFileLoader", "SourceFileLoader")
        assert "def untouched" in inspect.getsource(leaf)
        """
    )


def test_spec_found_without_importing_still_answers(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        import importlib.util
        spec = importlib.util.find_spec("foreign.leaf")
        assert "def untouched" in spec.loader.get_source("foreign.leaf")
        assert spec.loader.get_filename("foreign.leaf") == spec.origin
        assert "foreign.leaf" not in sys.modules
        """
    )


def test_reload_is_patched_again(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        import foreign.leaf, importlib, ours
        importlib.reload(foreign.leaf)
        assert foreign.leaf.Thing is ours.Thing
        intercept.uninstall()
        assert foreign.leaf.Thing.who == "plain"
        """
    )


@pytest.mark.parametrize("position", ["0", "len(sys.meta_path)"])
def test_works_beside_a_finder_that_asks_all_finders(passes: Run, position: str) -> None:
    passes(
        f"""
        import importlib.util
        class Asks:
            asking = set()
            seen = []
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if not name.startswith("foreign.") or name in cls.asking:
                    return None
                cls.asking.add(name)
                try:
                    return importlib.util.find_spec(name)
                finally:
                    cls.asking.discard(name)
                    cls.seen.append(name)
        intercept.install(table=TABLE)
        sys.meta_path.insert({position}, Asks)
        import foreign.leaf, ours
        assert foreign.leaf.Thing is ours.Thing
        assert type(foreign.leaf.__loader__).__name__ == "SourceFileLoader"
        intercept.uninstall()
        assert foreign.leaf.Thing.who == "plain"
        """
    )


def test_finder_in_front_is_asked_once(passes: Run) -> None:
    passes(
        """
        class Declines:
            asked = []
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if name.partition(".")[0] in ("foreign", "ours"):
                    cls.asked.append(name)
        intercept.install(table=TABLE)
        sys.meta_path.insert(0, Declines)
        import foreign.leaf
        assert foreign.leaf.Thing.who == "ours"
        assert Declines.asked == ["foreign", "foreign.leaf", "ours"], Declines.asked
        """
    )


def test_works_with_a_finder_that_makes_the_module(passes: Run) -> None:
    passes(
        """
        import importlib.abc, importlib.machinery
        class Makes(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path=None, target=None):
                return importlib.machinery.ModuleSpec(name, self) if name == "foreign.leaf" else None
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                class Thing:
                    who = "made"
                    def __getstate__(self): return "made state"
                module.Thing, module.make = Thing, Thing
        intercept.install(table=TABLE)
        makes = Makes()
        sys.meta_path.insert(1, makes)
        import foreign.leaf, ours
        assert foreign.leaf.Thing is ours.Thing and ours.AS_SEEN == "made"
        assert foreign.leaf.__loader__ is foreign.leaf.__spec__.loader is makes
        """
    )


def test_extension_module_is_patched(passes: Run) -> None:
    passes(
        """
        intercept.install(table=(Patch("_multiprocessing", "SemLock", "semlock:SemLock", "test"),))
        import multiprocessing.synchronize, semlock
        assert multiprocessing.synchronize._multiprocessing.SemLock is semlock.SemLock
        lock = multiprocessing.synchronize.Lock(ctx=multiprocessing.get_context("spawn"))
        assert isinstance(lock._semlock, semlock.SemLock)
        """,
        {
            # Not a subclass: an instance of one crashes Python 3.9 when it is deallocated.
            "semlock.py": """
                from _multiprocessing import SemLock as Plain
                class SemLock:
                    SEM_VALUE_MAX = Plain.SEM_VALUE_MAX
                    def __init__(self, *args):
                        self._plain = Plain(*args)
                    def __getattr__(self, name):
                        return getattr(self._plain, name)
                """
        },
    )


@pytest.mark.parametrize(
    "first",
    ["multiprocessing.connection", "multiprocessing.managers", "multiprocessing.queues", "multiprocessing"],
)
def test_the_library_s_own_copies_are_ours(passes: Run, first: str) -> None:
    passes(
        f"""
        intercept.install(table=(
            Patch("multiprocessing.connection", "Listener", "dials:Listener", "test"),
            Patch("multiprocessing.connection", "Client", "dials:Client", "test"),
        ))
        import {first}
        import multiprocessing.managers, dials
        assert multiprocessing.managers.listener_client["pickle"] == (dials.Listener, dials.Client)
        """,
        {
            "dials.py": """
                import multiprocessing.connection
                class Listener(multiprocessing.connection.Listener): pass
                def Client(*args, **kwargs): raise NotImplementedError
                """
        },
    )


def test_threads_that_import_at_once_all_see_ours(passes: Run) -> None:
    passes(
        """
        import threading
        intercept.install(table=TABLE)
        seen, gate = [], threading.Barrier(8)
        def run():
            gate.wait()
            from foreign.leaf import Thing
            seen.append(Thing.who)
        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert seen == ["ours"] * 8
        """
    )


def test_replacement_s_module_may_import_in_another_thread(passes: Run) -> None:
    # Held locks would show here: the hook waits for a thread that itself runs a hook.
    passes(
        """
        intercept.install(table=(
            Patch("foreign.leaf", "make", "waits:make", "test"),
            Patch("other", "make", "other_ours:make", "test"),
        ))
        from foreign.leaf import make
        import other
        assert make() == other.make() == "ours"
        """,
        {
            "waits.py": """
                import threading
                thread = threading.Thread(target=__import__, args=("other",))
                thread.start()
                thread.join(30)
                assert not thread.is_alive()
                def make(): return "ours"
                """,
            "other.py": "def make(): return 'plain'",
            "other_ours.py": "def make(): return 'ours'",
        },
    )


def test_replacement_that_cannot_be_imported_fails_the_import(passes: Run) -> None:
    passes(
        """
        intercept.install(table=(Patch("foreign.leaf", "make", "broken:make", "test"),))
        for _ in range(2):
            try:
                from foreign import leaf
            except ImportError as error:
                assert "no_such_thing" in str(error)
            else:
                raise AssertionError("imported")
            import foreign
            assert not hasattr(foreign, "leaf") and "foreign.leaf" not in sys.modules
        """,
        {"broken.py": "import no_such_thing"},
    )


def test_replacement_that_is_missing_is_not_waited_for_for_ever(passes: Run) -> None:
    passes(
        """
        intercept.install(table=(Patch("foreign.leaf", "make", "ours:misspelt", "test"),))
        try:
            import ours
        except ImportError as error:
            assert "ours has no misspelt, the replacement of foreign.leaf.make" in str(error)
        else:
            raise AssertionError("imported")
        """
    )
