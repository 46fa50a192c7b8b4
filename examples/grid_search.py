"""Finds the best support vector machine for handwritten digits, on all CPUs.

A grid search of scikit-learn under joblib's multiprocessing backend; the data set (1,797 scanned
digits of 8 x 8 pixels) comes with scikit-learn.
"""

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC


def main():
    images, labels = load_digits(return_X_y=True)
    grid = {"C": [0.1, 1.0, 10.0], "gamma": [0.0003, 0.001, 0.003], "kernel": ["rbf"]}
    search = GridSearchCV(SVC(), grid, cv=4, n_jobs=4)
    with joblib.parallel_backend("multiprocessing"):
        search.fit(images, labels)
    results = search.cv_results_
    for parameters, score, rank in zip(
        results["params"], results["mean_test_score"], results["rank_test_score"]
    ):
        print(f"C={parameters['C']:<5} gamma={parameters['gamma']:<7} accuracy {score:.4f}  rank {rank}")
    print(f"best: {search.best_params_} with {search.best_score_:.4f}")


if __name__ == "__main__":
    main()
