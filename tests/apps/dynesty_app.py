"""dynesty: nested sampling through its own Pool, whose processes keep the likelihood from an initialiser."""
import numpy as np, dynesty.pool, dynesty
def loglike(x, s): return -0.5 * float(np.sum((x / s) ** 2))
def prior(u): return 10 * u - 5
if __name__ == "__main__":
    with dynesty.pool.Pool(2, loglike, prior, logl_args=(1.5,)) as pool:
        s = dynesty.NestedSampler(pool.loglike, pool.prior_transform, 2, nlive=40, pool=pool, rstate=np.random.default_rng(1))
        s.run_nested(maxiter=80, print_progress=False)
    print("RESULT %.8f" % s.results.logz[-1], s.results.ncall.sum() > 80)
