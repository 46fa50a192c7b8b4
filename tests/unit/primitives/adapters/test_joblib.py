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
            print(glob.glob("joblib_memmapping_folder_*/*"))
    """
    got = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py")
    assert got == "[(200000.0, False), (200000.0, False)]\n[]\n"
