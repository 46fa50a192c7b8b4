"""dask: bag and delayed on the multiprocessing scheduler (spawned ProcessPoolExecutor, cloudpickled tasks)."""
import dask, dask.bag as db
from dask import delayed
if __name__ == "__main__":
    with dask.config.set(scheduler="processes", num_workers=2):
        b = db.from_sequence(range(100), npartitions=6)
        print("RESULT", b.map(lambda x: x * x).filter(lambda x: x % 2).sum().compute(), b.fold(max).compute())
        print("RESULT", sorted(b.map(lambda x: (x % 3, 1)).foldby(0, lambda a, x: a + x[1], 0, lambda a, b: a + b, 0).compute()))
        print("RESULT", delayed(sum)([delayed(lambda i: i * 2)(i) for i in range(10)]).compute())
