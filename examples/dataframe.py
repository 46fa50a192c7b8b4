"""Asks of every tumour in a DataFrame what its nearest neighbours are, on all CPUs.

pandarallel's parallel_apply and a grouped one over the breast cancer data set (569 biopsies of 30
measurements) that comes with scikit-learn. The functions read globals of this module, as they do
in a notebook.
"""

import numpy as np
from pandarallel import pandarallel
from sklearn.datasets import load_breast_cancer

biopsies = load_breast_cancer(as_frame=True).frame
measurements = biopsies.drop(columns="target")
scaled = (measurements - measurements.mean()) / measurements.std()
table, kinds = scaled.to_numpy(), biopsies["target"].to_numpy()


def malignant_neighbours(row, k=9):
    """Share of malignant ones (target 0) among the k biopsies most like this one."""
    distances = np.sqrt(((table - row.to_numpy()) ** 2).sum(axis=1))
    nearest = np.argsort(distances, kind="stable")[1 : k + 1]
    return float((kinds[nearest] == 0).mean())


def spread(group):
    """Mean distance between two biopsies of one kind."""
    rows = group[measurements.columns].to_numpy()
    return float(np.mean([np.sqrt(((rows - row) ** 2).sum(axis=1)).mean() for row in rows]))


def main():
    pandarallel.initialize(nb_workers=4, use_memory_fs=False, verbose=0)
    share = scaled.parallel_apply(malignant_neighbours, axis=1)
    guess = (share <= 0.5).astype(int)
    print(f"{len(biopsies)} biopsies, {int((kinds == 0).sum())} of them malignant")
    print(f"neighbours agree with the diagnosis in {(guess == kinds).mean():.4f} of all cases")
    print(f"checksum of the shares: {share.mul(np.arange(1, len(share) + 1)).sum():.6f}")
    scaled["kind"] = np.where(kinds == 0, "malignant", "benign")
    for kind, distance in scaled.groupby("kind").parallel_apply(spread).items():
        print(f"mean distance between two {kind} ones: {distance:.6f}")


if __name__ == "__main__":
    main()
