"""A module of the program that has the name of cloudpickle."""

import multiprocessing as mp
import os
import sys
import tempfile


def nothing():
    """What makes the first process."""


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    process = mp.Process(target=nothing)
    process.start()
    process.join()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "cloudpickle.py"), "w") as file:
            file.write("WHO = 'the program'\n")
        sys.path.insert(0, folder)
        import cloudpickle

        print(getattr(cloudpickle, "WHO", "somebody else"))
