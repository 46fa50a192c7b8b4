"""MDAnalysis: an analysis of a trajectory split over n_workers processes (backend='multiprocessing')."""
import warnings; warnings.filterwarnings("ignore")
import numpy as np, MDAnalysis as mda
from MDAnalysis.analysis import rms
if __name__ == "__main__":
    r = np.random.RandomState(0)
    u = mda.Universe.empty(20, trajectory=True)
    u.load_new(r.rand(30, 20, 3).astype("f4") * 10)
    u.add_TopologyAttr("masses", np.ones(20))
    a = rms.RMSD(u, u).run(backend="serial")
    b = rms.RMSD(u, u).run(backend="multiprocessing", n_workers=2)
    print("RESULT", b.results.rmsd.shape, bool(np.allclose(a.results.rmsd, b.results.rmsd)), round(float(b.results.rmsd[:, 2].sum()), 4))
