"""A Pool whose tasks say that they have begun."""

import seen

SHARED = {}


def share(begun):
    SHARED["begun"] = begun


def task(number):
    SHARED["begun"].put(number)
    return number * number


def outcome(result):
    try:
        return result.get()
    except RuntimeError as error:
        return type(error).__name__


def body(context):
    begun = context.SimpleQueue()
    with context.Pool(2, share, (begun,)) as pool:
        found = [outcome(result) for result in [pool.apply_async(task, (n,)) for n in range(12)]]
        found += [outcome(pool.map_async(task, [n], 1)) for n in range(12, 16)]
        pool.close()
        pool.join()
    times = []
    while not begun.empty():
        times.append(begun.get())
    return {"found": found, "begun": times}


if __name__ == "__main__":
    seen.told(body)
