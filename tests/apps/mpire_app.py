"""mpire: WorkerPool with shared objects, worker state, init/exit functions and a task that fails."""
from mpire import WorkerPool
def begin(shared, state): state["n"] = 0
def work(shared, state, x): state["n"] += 1; return shared["k"] * x
def end(shared, state): return state["n"]
def fail(x): raise ValueError("bad %d" % x)
if __name__ == "__main__":
    with WorkerPool(n_jobs=2, shared_objects={"k": 3}, use_worker_state=True) as pool:
        print("RESULT", sum(pool.map(work, range(50), worker_init=begin, worker_exit=end)), sum(pool.get_exit_results()))
    with WorkerPool(n_jobs=2) as pool:
        print("RESULT", list(pool.imap(pow, [(2, 3), (3, 2)])), pool.apply(max, (1, 2)))
        try: pool.map(fail, [7])
        except ValueError as e: print("RESULT", str(e).strip().splitlines()[-1])
