"""Producers that feed the client, then consumers that the client feeds."""

import queue as standard

import seen


def produce(queue, who):
    for number in range(30):
        queue.put((who, number))


def consume(tasks, results):
    while (number := tasks.get()) is not None:
        results.put(number)


def drained(queue, processes):
    """What is there until all who put something have ended, and after."""
    found = []
    while True:
        ended = not any(process.is_alive() for process in processes)
        try:
            while True:
                found.append(queue.get(timeout=0.05))
        except standard.Empty:
            if ended:
                return found


def body(context):
    queue, tasks, results = context.Queue(), context.Queue(), context.SimpleQueue()
    producers = [context.Process(target=produce, args=(queue, who)) for who in range(2)]
    for process in producers:
        process.start()
    fed = drained(queue, producers)
    consumers = [context.Process(target=consume, args=(tasks, results)) for _ in range(2)]
    for process in consumers:
        process.start()
    for number in [*range(30), None, None]:
        tasks.put(number)
    for process in producers + consumers:
        process.join()
    eaten = []
    while not results.empty():
        eaten.append(results.get())
    left = [number for number in drained(tasks, ()) if number is not None]
    codes = [[process.exitcode for process in one] for one in (producers, consumers)]
    return {"fed": fed, "eaten": eaten, "left": left, "codes": codes}


if __name__ == "__main__":
    seen.told(body)
