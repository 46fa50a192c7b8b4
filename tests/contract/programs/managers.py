"""Managers, their proxies in processes, and managers of the program's own."""

import multiprocessing as mp
import sys
from multiprocessing.managers import BaseManager


class Account:
    def __init__(self, balance):
        self._balance = balance

    def deposit(self, amount):
        if amount < 0:
            raise ValueError("deposits add")
        self._balance += amount
        return self._balance


class Bank(BaseManager):
    pass


Bank.register("Account", Account)


def fill(shared, names, space, lock, number):
    for _ in range(5):
        with lock:
            shared["count"] = shared.get("count", 0) + 1
    names.append(number)
    space.last = "set by a process"


def answer(questions, answers):
    while True:
        question = questions.get()
        if question is None:
            return
        answers.put(question.upper())


def deposit(account):
    account.deposit(5)
    try:
        account.deposit(-1)
    except ValueError as error:
        print(type(error).__name__, error)


def started(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def standard(manager):
    shared, names, space, lock = manager.dict(), manager.list(), manager.Namespace(first=1), manager.Lock()
    processes = [started(fill, shared, names, space, lock, number) for number in range(3)]
    for process in processes:
        process.join()
    print(dict(shared), sorted(names), space.first, space.last, shared, len(names))
    nested = manager.dict(inner=manager.list([1]))
    nested["inner"].append(2)
    print(list(nested["inner"]), nested.keys(), "inner" in nested)
    questions, answers = manager.Queue(), manager.Queue()
    process = started(answer, questions, answers)
    for question in ("what", "why", None):
        questions.put(question)
    print(answers.get(), answers.get())
    process.join()
    value, array = manager.Value("i", 3), manager.Array("d", [0.5, 1.5])
    value.value += 1
    array[0] = 2.5
    print(value.value, list(array), process.exitcode)
    with manager.Pool(1) as pool:
        print(pool.map(str.upper, ["pool"]))
    try:
        shared["missing"]
    except KeyError as error:
        print("KeyError", error)


def own():
    with Bank() as bank:
        account = bank.Account(10)
        started(deposit, account).join()
        print(account.deposit(1))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with mp.Manager() as manager:
        standard(manager)
    own()
