"""pymoo: NSGA-II whose elementwise evaluations go through a Pool's starmap, and a second run that must be the same."""
import multiprocessing as mp
import numpy as np
from pymoo.core.problem import ElementwiseProblem
from pymoo.parallelization.starmap import StarmapParallelization
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize
class P(ElementwiseProblem):
    def __init__(self, **kw): super().__init__(n_var=3, n_obj=2, xl=-2.0, xu=2.0, **kw)
    def _evaluate(self, x, out, *args, **kw): out["F"] = [float((x ** 2).sum()), float(((x - 1) ** 2).sum())]
if __name__ == "__main__":
    with mp.Pool(2) as pool:
        a = minimize(P(elementwise_runner=StarmapParallelization(pool.starmap)), NSGA2(pop_size=20), ("n_gen", 8), seed=1)
    b = minimize(P(), NSGA2(pop_size=20), ("n_gen", 8), seed=1)
    print("RESULT", len(a.F), np.round(a.F.sum(axis=0), 6).tolist(), bool((a.X == b.X).all()))
