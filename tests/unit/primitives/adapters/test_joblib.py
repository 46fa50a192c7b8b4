from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Callable

import pytest

from transparent_mp.primitives.adapters import joblib as adapter

np = pytest.importorskip("numpy")
reducers = pytest.importorskip("joblib._memmapping_reducer")


def sent(array: Any, folder: Path, *, mode: str = "r", max_nbytes: int | None = 100) -> Any:
    reducer = reducers.ArrayMemmapForwardReducer(max_nbytes, lambda: str(folder / "joblib"), mode, False)
    rebuild, arguments = adapter.forward(reducer, array)
    return pickle.loads(pickle.dumps((rebuild, arguments))) and rebuild(*arguments)


@pytest.mark.parametrize(("mode", "writeable"), [("r", False), ("c", True), ("r+", True)])
def test_large_array_goes_by_value_and_is_as_writeable_as_its_file(
    tmp_path: Path, mode: str, writeable: bool
) -> None:
    array = np.arange(100.0).reshape(10, 10)
    got = sent(array, tmp_path, mode=mode)
    assert (got == array).all()
    assert got.flags.writeable is writeable
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("array", [np.arange(3), np.array([{}] * 100, dtype=object)])
def test_array_that_joblib_would_not_map_stays_writeable(tmp_path: Path, array: Any) -> None:
    assert sent(array, tmp_path).flags.writeable


def test_no_limit_means_that_nothing_is_mapped(tmp_path: Path) -> None:
    assert sent(np.arange(100.0), tmp_path, max_nbytes=None).flags.writeable


@pytest.mark.parametrize(("mode", "writeable"), [("r", False), ("r+", False), ("c", True)])
def test_view_of_a_mapped_file_goes_by_value(tmp_path: Path, mode: str, writeable: bool) -> None:
    np.arange(50.0).tofile(tmp_path / "file")
    mapped = np.memmap(tmp_path / "file", dtype="f8", mode=mode, shape=(10, 5))
    got = sent(mapped.T[::2], tmp_path)
    (tmp_path / "file").unlink()
    assert (got == np.arange(50.0).reshape(10, 5).T[::2]).all()
    assert got.flags.writeable is writeable
    assert not isinstance(got, np.memmap)


def test_result_that_is_a_mapped_file_comes_by_value(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "file", dtype="f8", mode="w+", shape=(5,))
    rebuild, arguments = adapter.backward(mapped)
    got = rebuild(*arguments)
    assert type(got) is np.ndarray
    assert got.flags.writeable


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_parallel_makes_no_files(program: Callable[..., str], backend: str) -> None:
    app = f"""
        import glob, numpy, joblib

        def sum_of(array):
            return float(array.sum()), array.flags.writeable

        if __name__ == "__main__":
            array = numpy.ones(200_000)
            with joblib.parallel_backend({backend!r}):
                print(joblib.Parallel(n_jobs=2, temp_folder=".")(
                    joblib.delayed(sum_of)(array) for _ in range(2)))
                # Arrays that are gone as soon as they are sent.
                print(joblib.Parallel(n_jobs=2)(joblib.delayed(sum_of)(array * i) for i in range(3)))
            print(glob.glob("joblib_memmapping_folder_*/*"))
    """
    got = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py")
    sums = [(0.0, False), (200000.0, False), (400000.0, False)]
    assert got == f"[(200000.0, False), (200000.0, False)]\n{sums}\n[]\n"


def test_what_is_sent_by_digest_is_gone_with_its_array(program: Callable[..., str]) -> None:
    app = """
        import gc, numpy, joblib

        def seen(array):
            try:
                array[0] = 7
            except ValueError:
                pass
            return float(array.sum()), array.flags.writeable

        if __name__ == "__main__":
            large, small = numpy.ones(200_000), numpy.ones(20_000)
            for array in (large, small, numpy.asfortranarray(numpy.ones((300, 500)))[::2]):
                print(joblib.Parallel(n_jobs=2, batch_size=1)(joblib.delayed(seen)(array) for _ in range(3)))
            from transparent_mp.primitives import session, starter
            stored = starter.current().stored
            print(len(stored))
            names = [session.current().keys("content", digest) for digest in stored]
            del large, small, array
            joblib.externals.loky.get_reusable_executor().shutdown()
            gc.collect()
            print(len(stored), [session.current().store.ask("EXISTS", name) for name in names])
    """
    lines = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py").splitlines()
    # What one task writes, no other sees.
    assert lines == [
        "[(200000.0, False), (200000.0, False), (200000.0, False)]",
        "[(20006.0, True), (20006.0, True), (20006.0, True)]",
        "[(78000.0, True), (78000.0, True), (78000.0, True)]",
        "3",
        "0 [0, 0, 0]",
    ]
