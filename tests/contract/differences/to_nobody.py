"""When it is known that nobody will read what is sent."""

import multiprocessing as mp
import sys

if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    process = mp.Process(target=there.fileno)
    process.start()
    there.close()
    process.join()
    try:
        here.send("to nobody")
        print("sent")
    except BrokenPipeError:
        print("BrokenPipeError")
