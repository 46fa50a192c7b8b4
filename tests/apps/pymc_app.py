"""PyMC: chains sampled by processes of their own (Pipe, shared memory for the points)."""
import logging, warnings; warnings.filterwarnings("ignore"); logging.disable(logging.CRITICAL)
import numpy as np, pymc as pm
if __name__ == "__main__":
    y = np.random.RandomState(0).normal(1.5, 1, 50)
    with pm.Model():
        m = pm.Normal("m", 0, 5); pm.Normal("y", m, 1, observed=y)
        a = pm.sample(200, tune=200, chains=2, cores=2, random_seed=[1, 2], progressbar=False, compute_convergence_checks=False)
        b = pm.sample(200, tune=200, chains=2, cores=1, random_seed=[1, 2], progressbar=False, compute_convergence_checks=False)
    print("RESULT", a.posterior["m"].shape, bool((a.posterior["m"].values == b.posterior["m"].values).all()), round(float(a.posterior["m"].mean()), 4))
