from __future__ import annotations

import subprocess
from typing import Callable

import pytest

from transparent_mp import intercept

Run = Callable[..., None]
Fresh = Callable[..., "subprocess.CompletedProcess[str]"]


def test_install_twice_is_install_once(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        path = list(sys.meta_path)
        intercept.install(table=TABLE)
        assert sys.meta_path == path
        import foreign.leaf
        intercept.install(table=TABLE)
        intercept.uninstall()
        assert foreign.leaf.Thing.who == "plain"
        assert len(sys.meta_path) == len(path) - 1
        """
    )


def test_install_puts_back_a_finder_that_was_dropped(passes: Run) -> None:
    passes(
        """
        intercept.install(table=TABLE)
        del sys.meta_path[0]
        intercept.install(table=TABLE)
        import foreign.leaf
        assert foreign.leaf.Thing.who == "ours"
        """
    )


def test_uninstall_restores_everything(passes: Run) -> None:
    # With the true table's modules, and with names of our own for what replaces them.
    passes(
        """
        import importlib, operator, os
        from transparent_mp.intercept.patches import TABLE as REAL
        class Ours: pass
        import ours
        vars(ours).update((row.name.replace(".", "_"), type("Ours", (), {})) for row in REAL)
        table = tuple(
            Patch(row.module, row.name, "ours:" + row.name.replace(".", "_"), "test", optional=row.optional)
            for row in REAL
            if row.module != "os"
            and "client" in row.sides
            and ".adapters." not in row.replacement
            and "loky" not in row.module
            and not row.module.startswith("multiprocess.")
        ) + (
            Patch("os", "kill", "ours:kill", "test"),
            Patch("os", "cpu_count", "ours:cpu_count", "test", lazy=True),
        )
        modules = [importlib.import_module(row.module) for row in table]
        plain = [dict(vars(module)) for module in modules]
        state = dict(vars(sys.modules["multiprocessing.synchronize"].SemLock))
        path = list(sys.meta_path)
        intercept.install(table=table)
        for row, module in zip(table, modules):
            assert operator.attrgetter(row.name)(module) is not intercept.original(row.module, row.name), row
        intercept.uninstall()
        assert [dict(vars(module)) for module in modules] == plain
        assert dict(vars(sys.modules["multiprocessing.synchronize"].SemLock)) == state
        assert sys.meta_path == path
        intercept.uninstall()
        assert sys.meta_path == path
        """
    )


def test_a_worker_gives_back_the_names_that_open_files(passes: Run) -> None:
    passes(
        """
        import builtins, glob, io, os, pathlib, posixpath, tarfile, tokenize
        modules = [builtins, glob, io, os, pathlib, posixpath, tarfile, tokenize]
        plain = [dict(vars(module)) for module in modules]
        intercept.install(side="worker")
        assert open is io.open is tokenize._builtin_open is not plain[2]["open"]
        assert os.stat is not plain[3]["stat"]
        intercept.uninstall()
        assert [dict(vars(module)) for module in modules] == plain
        """
    )


def test_uninstall_before_the_import_leaves_it_plain(passes: Run) -> None:
    passes(
        """
        import importlib.util
        intercept.install(table=TABLE)
        spec = importlib.util.find_spec("foreign.leaf")
        intercept.uninstall()
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.Thing.who == "plain"
        import foreign.leaf
        assert foreign.leaf.Thing.who == "plain"
        """
    )


def test_other_side_takes_the_place(passes: Run) -> None:
    passes(
        """
        table = TABLE + (Patch("os", "kill", "ours:kill", "test", sides=("worker",)),)
        import os, posix
        intercept.install(table=table)
        assert os.kill is posix.kill
        import foreign.leaf, ours
        intercept.install("worker", table=table)
        assert os.kill is ours.kill and foreign.leaf.Thing is ours.Thing
        assert sum(type(finder).__name__ == "Finder" for finder in sys.meta_path) == 1
        intercept.uninstall()
        assert os.kill is posix.kill and foreign.leaf.Thing is ours.PlainThing
        """
    )


def test_unknown_side_is_an_error() -> None:
    with pytest.raises(ValueError, match="side 'server' is unknown: use one of client, worker"):
        intercept.install("server")  # type: ignore[arg-type]


def test_lazy_function_is_imported_at_its_first_call(passes: Run) -> None:
    passes(
        """
        import os, pickle, posix
        intercept.install(table=(Patch("os", "kill", "ours:kill", "test", lazy=True),))
        assert "ours" not in sys.modules
        assert os.kill(1, 0) == "our kill" and "ours" in sys.modules
        assert intercept.original("os", "kill") is posix.kill
        assert pickle.loads(pickle.dumps(os.kill)) is os.kill
        intercept.uninstall()
        assert os.kill is posix.kill
        """
    )


class TestTooLate:
    APP = {"app.py": "from foreign.leaf import Thing as Mine\nfrom foreign.leaf import untouched\n"}

    def test_module_is_patched_and_the_copy_is_named(self, fresh: Fresh) -> None:
        done = fresh(
            """
            import app
            intercept.install(table=TABLE)
            import foreign.leaf
            assert foreign.leaf.Thing.who == "ours" and app.Mine.who == "plain"
            """,
            self.APP,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines() == [
            "transparent_mp: warning: installed too late for app.Mine (foreign.leaf.Thing): "
            "what was copied before stays as it was; "
            "start the program with `python -m transparent_mp` or TRANSPARENT_MP=1"
        ]

    def test_nothing_is_said_without_copies(self, passes: Run) -> None:
        passes(
            """
            import foreign.leaf
            intercept.install(table=(Patch("foreign.leaf", "make", "quiet:make", "test"),))
            assert foreign.leaf.make() == "ours"
            """,
            {"quiet.py": "def make(): return 'ours'"},
        )

    @pytest.mark.parametrize(("level", "lines"), [("error", 0), ("warning", 1), ("debug", 1), ("shout", 1)])
    def test_log_level_is_heeded(self, fresh: Fresh, level: str, lines: int) -> None:
        code = "import app; intercept.install(table=TABLE)"
        done = fresh(code, self.APP, TRANSPARENT_MP_LOG=level)
        assert (done.returncode, len(done.stderr.splitlines())) == (0, lines)

    def test_lazily_loaded_modules_stay_unloaded(self, passes: Run) -> None:
        passes(
            """
            import importlib.util
            spec = importlib.util.find_spec("bomb")
            spec.loader = importlib.util.LazyLoader(spec.loader)
            sys.modules["bomb"] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules["bomb"])
            import foreign.leaf
            intercept.install(table=(Patch("foreign.leaf", "make", "quiet:make", "test"),))
            """,
            {"bomb.py": "raise AssertionError('loaded')", "quiet.py": "def make(): return 'ours'"},
        )


class TestSettings:
    BAD = "transparent_mp: TRANSPARENT_MP_WORKERS='zero' must be a whole number above 0\n"

    @pytest.mark.parametrize(
        "name",
        ["multiprocessing", "multiprocessing.pool", "_multiprocessing", "concurrent.futures.process"],
    )
    def test_bad_value_ends_the_program_at_the_first_import(self, fresh: Fresh, name: str) -> None:
        code = f"intercept.install()\nprint('before', flush=True)\nimport {name}\nprint('after')"
        done = fresh(code, TRANSPARENT_MP_WORKERS="zero")
        assert (done.returncode, done.stdout, done.stderr) == (2, "before\n", self.BAD)

    def test_bad_value_of_a_program_without_processes_does_no_harm(self, passes: Run) -> None:
        passes("intercept.install()\nimport json", TRANSPARENT_MP_WORKERS="zero")

    def test_worker_does_not_mind_the_program_s_variables(self, passes: Run) -> None:
        passes(
            "intercept.install('worker', table=TABLE); import multiprocessing, foreign.leaf",
            TRANSPARENT_MP_WORKERS="zero",
        )


def test_what_opens_files_at_the_client_is_plain_python_s(passes: Run) -> None:
    passes(
        """
        import builtins, io, os, pathlib, shutil, subprocess, tempfile
        modules = [builtins, io, os, pathlib, shutil, tempfile]
        plain = [{name: id(value) for name, value in vars(module).items()} for module in modules]
        execute = subprocess.Popen._execute_child
        intercept.install()
        changed = {
            name
            for module, before in zip(modules, plain)
            for name, value in vars(module).items()
            if before.get(name) != id(value)
        }
        assert changed - {"process_cpu_count", "fork"} == {"kill", "cpu_count", "sched_getaffinity"}, changed
        assert subprocess.Popen._execute_child is execute
        """
    )
