"""What a program may have seen: the rules of docs/reliability.md, for each of `programs/`.

RULES[program](facts, dead)    what is wrong, in words; `dead`: how many processes may have been killed
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable

KILLED = -9


def _codes(codes: list[int], dead: int, right: int = 0) -> list[str]:
    killed = codes.count(KILLED)
    wrong = [f"an exit code {code}" for code in codes if code not in (right, KILLED)]
    return wrong + ([f"{killed} processes were killed, not {dead}"] if killed > dead else [])


def _processes(facts: Any, dead: int) -> list[str]:
    wrong = []
    for (value, code), number in zip(facts, (0, 1, 2) * 2):
        wrong += _codes([code], dead, number)
        if value not in (number * number, None) or (value is None and code != KILLED):
            wrong.append(f"process {number} has sent {value} and ended with {code}")
    return wrong + _codes([code for _, code in facts if code == KILLED], dead)


def _pools(facts: Any, dead: int) -> list[str]:
    found = [one[0] if isinstance(one, list) else one for one in facts["found"]]
    begun = Counter(facts["begun"])
    wrong = [
        f"the result of task {number} is {one!r}"
        for number, one in enumerate(found)
        if one not in (number * number, "WorkerLostError")
    ]
    lost = [number for number, one in enumerate(found) if one == "WorkerLostError"]
    # A process loses one task; with its worker all that it had taken together, which were put one after the
    # other (docs/reliability.md).
    losses = len(lost) if dead == 1 else sum(number - 1 not in lost for number in lost)
    if losses > dead:
        wrong.append(f"the tasks {lost} were lost with {dead} processes")
    for number, one in enumerate(found):
        times = begun[number]
        if times > 1 or (times == 0 and one != "WorkerLostError"):
            wrong.append(f"task {number} with the result {one!r} was begun {times} times")
    return wrong


def _executors(facts: Any, dead: int) -> list[str]:
    wrong = [
        f"the result of call {number} is {one!r}"
        for found in facts
        for number, one in enumerate(found)
        if one not in (number * number, "BrokenProcessPool")
    ]
    broken = sum("BrokenProcessPool" in found for found in facts)
    return wrong + ([f"{broken} executors were broken by {dead} deaths"] if broken > dead else [])


def _queues(facts: Any, dead: int) -> list[str]:
    producers, consumers = facts["codes"]
    wrong = _codes(producers + consumers, dead)
    for who, code in enumerate(producers):
        mine = [number for sender, number in facts["fed"] if sender == who]
        # Those of a dead one are the first of them.
        if mine != list(range(len(mine))) or (len(mine) < 30 and code != KILLED):
            wrong.append(f"producer {who}, which ended with {code}, was heard as {mine}")
    there = Counter(facts["eaten"]) + Counter(facts["left"])
    doubled = [number for number, times in there.items() if times > 1]
    lost = [number for number in range(30) if number not in there]
    if doubled or len(lost) > consumers.count(KILLED):
        wrong.append(f"consumers that ended with {consumers} have lost {lost} and doubled {doubled}")
    return wrong


def _pipes(facts: Any, dead: int) -> list[str]:
    if not isinstance(facts, list):
        return [str(facts)]
    answers, code = facts
    wrong = _codes([code], dead)
    return wrong + ([f"{answers} answers and exit code {code}"] if answers < 30 and not code else [])


def _locks(facts: Any, dead: int) -> list[str]:
    found, codes, value = facts["found"], facts["codes"], facts["value"]
    wrong = _codes(codes, dead)
    for (what, _), code in zip(found, codes):
        if what == ("dead" if code == KILLED else "stuck") and codes.count(KILLED):
            continue
        if what != "done":
            wrong.append(f"one that ended with {code} is {what}")
    known = sum(done for _, done in found)
    most = known + 20 * sum(what == "dead" for what, _ in found)
    return wrong + ([f"{found} makes {value}"] if not known <= value <= most else [])


def _events(facts: Any, dead: int) -> list[str]:
    wrong = _codes(facts["codes"], dead)
    for who, code in enumerate(facts["codes"]):
        mine = [number for sender, number in facts["found"] if sender == who]
        if mine != list(range(len(mine))) or (len(mine) < 6 and code != KILLED):
            wrong.append(f"follower {who}, which ended with {code}, was heard as {mine}")
    return wrong + ([] if facts["set"] == [True] * 6 else ["an event is not set"])


def _barriers(facts: Any, dead: int) -> list[str]:
    found, codes = facts["found"], facts["codes"]
    wrong = _codes(codes, dead)
    for (what, met), code in zip(found, codes):
        fits = {"met": met == 6, "broken": codes.count(KILLED) > 0, "dead": code == KILLED}
        if not fits[what]:
            wrong.append(f"one that ended with {code} is {what} after {met}")
    living = {met for what, met in found if what != "dead"}
    return wrong + ([f"they have met {found}"] if living and max(living) - min(living) > 1 else [])


def _managers(facts: Any, dead: int) -> list[str]:
    wrong = _codes(facts["codes"], dead)
    table = dict(map(tuple, facts["table"]))
    for who, code in enumerate(facts["codes"]):
        mine = [number for sender, number in facts["items"] if sender == who]
        last = table.get(who, -1)
        whole = len(mine) == 8 and last == 7
        if mine != list(range(len(mine))) or last not in (len(mine) - 1, len(mine) - 2):
            wrong.append(f"{who} has made {mine} and {last}")
        if not whole and code != KILLED:
            wrong.append(f"{who} has ended with {code} and made {mine} and {last}")
    return wrong


def _memory(facts: Any, dead: int) -> list[str]:
    wrong = _codes(facts["codes"], dead)
    for kind, found in zip(("Array", "RawArray", "SharedMemory"), facts["parts"]):
        for who, (value, code) in enumerate(zip(found, facts["codes"])):
            if value != who + 1 and code != KILLED:
                wrong.append(
                    f"part {who} of the {kind} is full of {value}, and its process ended with {code}"
                )
    return wrong


def _files(facts: Any, dead: int) -> list[str]:
    wrong = _codes(facts["codes"], dead)
    for found, code in zip(facts["copies"], facts["codes"]):
        if found == "torn" or (found != "whole" and code != KILLED):
            wrong.append(f"the file of a process that ended with {code} is {found}")
    return wrong


RULES: dict[str, Callable[[Any, int], list[str]]] = {
    "processes": _processes,
    "pools": _pools,
    "executors": _executors,
    "queues": _queues,
    "pipes": _pipes,
    "locks": _locks,
    "events": _events,
    "barriers": _barriers,
    "managers": _managers,
    "memory": _memory,
    "files": _files,
}
