"""cma: EvalParallel2, a pool kept over the generations of an evolution strategy."""
import cma, numpy as np
if __name__ == "__main__":
    es = cma.CMAEvolutionStrategy(3 * [0.5], 0.3, {"seed": 3, "maxiter": 12, "verbose": -9})
    with cma.optimization_tools.EvalParallel2(cma.ff.elli, 2) as evaluate:
        while not es.stop():
            X = es.ask(); es.tell(X, evaluate(X))
    print("RESULT %.8e" % es.result.fbest, es.result.evaluations)
