"""pyswarms: a swarm evaluated by n_processes (a Pool kept for the whole run, its slices by pool.map)."""
import logging; logging.disable(logging.CRITICAL)
import numpy as np, pyswarms as ps
from pyswarms.utils.functions import single_obj as fx
def own(x, k): return ((x - k) ** 2).sum(axis=1)
if __name__ == "__main__":
    for f, kw in ((fx.sphere, {}), (own, {"k": 0.5})):
        np.random.seed(0)
        o = ps.single.GlobalBestPSO(n_particles=20, dimensions=3, options={"c1": .5, "c2": .3, "w": .9})
        cost, pos = o.optimize(f, iters=20, n_processes=2, verbose=False, **kw)
        print("RESULT", round(float(cost), 8), np.round(pos, 5).tolist())
