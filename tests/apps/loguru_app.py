"""loguru: one enqueued sink (SimpleQueue, Lock, thread) that forked processes write to."""
import multiprocessing as mp, os, tempfile
from loguru import logger
def work(i):
    logger.info("task {} of {}", i, mp.current_process().name.split("-")[0]); logger.complete()
if __name__ == "__main__":
    name = os.path.join(tempfile.mkdtemp(), "log")
    logger.remove(); logger.add(name, enqueue=True, format="{level} {message}")
    ps = [mp.Process(target=work, args=(i,)) for i in range(4)]
    for p in ps: p.start()
    for p in ps: p.join()
    logger.complete(); logger.remove()
    print("RESULT", [p.exitcode for p in ps], sorted(open(name).read().split("\n")))
