"""By which thread an item of a queue is pickled."""

import multiprocessing as mp
import sys
import threading


class Item:
    def __reduce__(self):
        return str, (threading.current_thread() is threading.main_thread(),)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    queue = mp.Queue()
    process = mp.Process(target=queue.close)
    process.start()
    process.join()
    queue.put(Item())
    print("by the thread that puts it:", queue.get())
