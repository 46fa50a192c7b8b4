"""SALib: a model evaluated by nprocs processes (a Pool), then analysed by nprocs more."""
import numpy as np
from SALib import ProblemSpec
from SALib.test_functions import Ishigami
if __name__ == "__main__":
    sp = ProblemSpec({"names": ["x1", "x2", "x3"], "bounds": [[-np.pi, np.pi]] * 3, "outputs": ["Y"]})
    sp.sample_sobol(64, seed=1).evaluate(Ishigami.evaluate, nprocs=2).analyze_sobol(seed=1, nprocs=2)
    print("RESULT", sp.results.shape, np.round(sp.analysis["S1"], 5).tolist(), np.round(sp.analysis["ST"], 5).tolist())
