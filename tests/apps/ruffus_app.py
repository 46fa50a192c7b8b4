"""ruffus: a pipeline of files whose jobs run in a Pool, with a manager's lock and shared log."""
from ruffus import originate, transform, merge, split, suffix, pipeline_run, pipeline_get_task_names, Pipeline
import sys, os
starting = ["a.txt", "b.txt", "c.txt"]
@originate(starting)
def make(out): open(out, "w").write(out * 3)
@transform(make, suffix(".txt"), ".upper")
def upper(src, dst): open(dst, "w").write(open(src).read().upper())
@transform(upper, suffix(".upper"), ".count")
def count(src, dst): open(dst, "w").write(str(len(open(src).read())))
@merge(count, "total")
def total(srcs, dst): open(dst, "w").write("+".join(open(s).read() for s in sorted(srcs)))
if __name__ == "__main__":
    pipeline_run([total], multiprocess=2, verbose=0)
    print("RESULT", open("total").read(), sorted(f for f in os.listdir(".") if f.endswith((".upper", ".count"))))
    pipeline_run([total], multiprocess=2, verbose=0)
    os.remove("b.count"); pipeline_run([total], multiprocess=2, verbose=0)
    print("RESULT", open("b.upper").read(), open("total").read())
