"""A grid search sends its data once to each worker, however many fits there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("sklearn")

WORKERS = 8
FITS = 480
SEARCH = """
    import numpy as np
    from joblib._parallel_backends import AutoBatchingMixin
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import GridSearchCV

    class Constant(ClassifierMixin, BaseEstimator):
        def __init__(self, k=0):
            self.k = k

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.full(len(X), self.k % 2)

    def search(rows):
        X, y = np.random.RandomState(0).rand(rows, 100), np.arange(rows) % 2
        folds = [(np.arange(i, i + 20), np.arange(i + 20, i + 40)) for i in range(5)]
        found = GridSearchCV(Constant(), {"k": list(range(96))}, cv=folds, n_jobs=-1, refit=False).fit(X, y)
        print(X.nbytes, 5 * len(found.cv_results_["params"]), found.cv_results_["mean_test_score"].sum())
        input()

    if __name__ == "__main__":
        # Each fit a message of its own, however fast the machine is: what messages take is the same then.
        AutoBatchingMixin.MIN_IDEAL_BATCH_DURATION = 0
        for rows in (400, 400, 37_500):
            search(rows)
"""


def test_x_goes_once_to_each_worker(
    program: Callable[..., Any], redis: Callable[..., Any], tmp_path: Path
) -> None:
    server, witness, folder = redis(), tmp_path / "witness", tmp_path / "joblib"
    folder.mkdir()

    def passed() -> tuple[int, int]:
        """Bytes that have come into the store, and gone out."""
        found = re.findall(rb"total_net_(?:in|out)put_bytes:(\d+)", server.ask("INFO", "stats"))
        return int(found[0]), int(found[1])

    settings = {"REDIS_URL": server.address, "WORKERS": str(WORKERS), "WITNESS": str(witness)}
    text = f"import os; os.environ['JOBLIB_TEMP_FOLDER'] = {str(folder)!r}\n" + SEARCH.replace("\n    ", "\n")
    searching = program(text, **settings)
    totals = []
    for _ in range(3):
        size, *rest = searching.hear(within=120).split()
        assert rest == [str(FITS), "48.0"]
        totals.append(passed())
        searching.say("")
    # No file that a task was to map: every array went through the store.
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert searching.finish().status == 0
    assert len({line.split("\t")[2] for line in witness.read_text().splitlines()}) == WORKERS
    # The second search has started nothing and has next to no data: what it took, fits take.
    came_in, went_out = (c - b - (b - a) for a, b, c in zip(*totals))
    print(f"X in: {came_in / int(size):.3f}, out: {went_out / int(size):.3f} for {WORKERS} workers")
    assert came_in <= 1.05 * int(size)
    assert went_out <= 1.05 * int(size) * WORKERS
