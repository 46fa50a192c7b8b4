"""Events that processes wait for, one after another."""

import queue as standard

import seen


def follow(events, answers, who):
    for number, event in enumerate(events):
        event.wait()
        answers.put((who, number))


def body(context):
    events, answers = [context.Event() for _ in range(6)], context.Queue()
    followers = [context.Process(target=follow, args=(events, answers, who)) for who in range(2)]
    for process in followers:
        process.start()
    found = []
    for number, event in enumerate(events):
        event.set()
        missing = set(range(2))
        while missing:
            dead = {who for who in missing if not followers[who].is_alive()}
            try:
                found.append(answers.get(timeout=0.05))
            except standard.Empty:
                # Looked for once more after its end was seen: what it had put is there.
                missing -= dead
            else:
                missing.discard(found[-1][0]) if found[-1][1] == number else None
    for process in followers:
        process.join()
    codes = [process.exitcode for process in followers]
    return {"found": found, "codes": codes, "set": [event.is_set() for event in events]}


if __name__ == "__main__":
    seen.told(body)
