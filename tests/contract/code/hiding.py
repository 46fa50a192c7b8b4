"""Modules of the program that hide the standard library's."""

import multiprocessing as mp
import os
import statistics
import sys

import test.helper


def see(numbers):
    import statistics as late

    folders = [os.path.basename(os.path.dirname(module.__file__)) for module in (late, test)]
    return statistics.mean(numbers), late is statistics, test.helper.NAME, folders


if __name__ == "__main__":
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.apply(see, ([1, 2],)))
