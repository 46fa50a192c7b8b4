"""schwimmbad: MultiPool with callbacks, and emcee over it."""
import numpy as np, emcee
from schwimmbad import MultiPool
seen = []
def f(t): return t[0] * t[1]
def lp(x): return -0.5 * float((x ** 2).sum())
if __name__ == "__main__":
    with MultiPool(processes=2) as pool:
        print("RESULT", list(pool.map(f, [(i, 2) for i in range(6)], callback=seen.append)), sorted(seen), pool.size)
        np.random.seed(0)
        s = emcee.EnsembleSampler(8, 2, lp, pool=pool); s.run_mcmc(np.random.randn(8, 2), 20)
        print("RESULT", s.get_chain().shape, round(float(s.acceptance_fraction.mean()), 6))
