"""An executor, and another one after it was broken."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import seen


def square(number):
    return number * number


def outcome(call, *args):
    try:
        return call(*args)
    except BrokenProcessPool:
        return "BrokenProcessPool"


def once(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        futures = []
        for number in range(12):
            try:
                futures.append(executor.submit(square, number))
            except BrokenProcessPool:
                break
        found = [outcome(future.result) for future in futures]
    return found + ["BrokenProcessPool"] * (12 - len(found))


def body(context):
    return [once(context), once(context)]


if __name__ == "__main__":
    seen.told(body)
