"""One says that it is done with what another has taken, and so the other says it too often."""

import multiprocessing as mp
import sys


def work(queue, taken, said):
    queue.get()
    taken.set()
    said.wait()
    try:
        queue.task_done()
        print("done")
    except ValueError:
        print("ValueError")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    queue, taken, said = mp.JoinableQueue(), mp.Event(), mp.Event()
    queue.put("item")
    process = mp.Process(target=work, args=(queue, taken, said))
    process.start()
    taken.wait()
    queue.task_done()
    said.set()
    process.join()
