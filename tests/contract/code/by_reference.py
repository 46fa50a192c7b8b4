"""Functions and objects that the program itself pickles, by reference to `__main__` or by value."""

import multiprocessing as mp
import pickle
import sys

import cloudpickle

try:
    import dill
except ImportError:
    dill = None

FACTOR = 3
state = {"k": 0}


def scale(number):
    return number * FACTOR + state["k"]


class Scaler:
    def __init__(self, amount):
        self.amount = amount

    def go(self):
        return self.amount * FACTOR


def call(data, *args):
    return pickle.loads(data)(*args)


def call_dill(data, *args):
    return dill.loads(data)(*args)


def go(data):
    return pickle.loads(data).go()


if __name__ == "__main__":
    state["k"] = 100
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.apply(call, (pickle.dumps(scale), 2)))
        print(pool.apply(call, (cloudpickle.dumps(scale), 2)))
        print(pool.apply(call, (cloudpickle.dumps(lambda x: scale(x) + FACTOR), 2)))
        print(pool.apply(go, (pickle.dumps(Scaler(4)),)), pool.apply(go, (cloudpickle.dumps(Scaler(4)),)))
        # Where __main__ is another module than the one that dill names, plain Python finds no FACTOR.
        if dill is not None and sys.argv[1] == "fork":
            print(pool.apply(call_dill, (dill.dumps(scale), 2)))
            print(pool.apply(call_dill, (dill.dumps(lambda x: x + FACTOR), 2)))
            print(pool.apply(call_dill, (dill.dumps(scale, byref=True), 2)))
            print(pool.apply(call_dill, (dill.dumps(lambda x: scale(x), recurse=True), 2)))
