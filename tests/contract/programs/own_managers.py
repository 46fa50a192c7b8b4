"""Managers of the program's own classes: callables, proxy types, exposed methods, nested proxies."""

import multiprocessing as mp
import sys
from multiprocessing import managers


class Account:
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        if amount < 0:
            raise ValueError("deposits add")
        self.balance += amount
        return self.balance

    def read(self):
        return self.owner, self.balance

    def _hidden(self):
        return "hidden"

    def history(self):
        return [self.balance]

    def __repr__(self):
        return f"<account of {self.owner}>"


class AccountProxy(managers.BaseProxy):
    _exposed_ = ("deposit", "read")

    def deposit(self, amount):
        return self._callmethod("deposit", (amount,))

    @property
    def balance(self):
        return self._callmethod("read")[1]


class Branch:
    def __init__(self):
        self.accounts = {}

    def open(self, owner):
        return self.accounts.setdefault(owner, Account(owner))

    def names(self):
        return sorted(self.accounts)

    def each(self):
        yield from sorted(self.accounts)


class Bank(managers.BaseManager):
    pass


def countdown(first):
    yield from range(first, 0, -1)


THE_ONE = Account("singleton", 100)


def the_one():
    return THE_ONE


Bank.register("Account", Account, AccountProxy)
Bank.register("Auto", Account)
Bank.register("Narrow", Account, exposed=("read", "_hidden"))
Bank.register("Branch", Branch, method_to_typeid={"open": "Opened", "each": "Iterator"})
Bank.register("Historian", Account, method_to_typeid={"history": "list"})
Bank.register("Opened", proxytype=AccountProxy, create_method=False)
Bank.register("list", list, managers.ListProxy)
Bank.register("Iterator", proxytype=managers.IteratorProxy, create_method=False)
Bank.register("countdown", countdown, proxytype=managers.IteratorProxy)
Bank.register("the_one", callable=the_one)


def attempt(call, *args):
    try:
        return call(*args)
    except Exception as error:
        return type(error).__name__, str(error).splitlines()[0]


def in_process(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    process.join()
    if process.exitcode:
        print("exit code", process.exitcode)


def use(account, narrow, branch, queue):
    queue.put((account.deposit(5), account.balance, attempt(account.deposit, -1)))
    queue.put((narrow.read(), narrow._hidden(), hasattr(narrow, "deposit")))
    # A proxy that was pickled has lost its manager, and with it what would make further proxies.
    queue.put((branch.names(), attempt(branch.open, "from a process")))


def look(shared, one, queue):
    inner = shared["accounts"][0]
    inner.deposit(1)
    shared["accounts"].append("seen")
    one.deposit(11)
    queue.put((type(shared).__name__, type(inner).__name__, inner.read(), one.read()))


def append_own(manager_dict, queue):
    # Proxies stay in the manager after the process that put them there is gone.
    manager_dict["late"] = queue
    queue.put("from who put it")


def own_classes():
    queue = mp.Queue()
    with Bank() as bank:
        account, auto, narrow = bank.Account("ann", 1), bank.Auto("bob", 2), bank.Narrow("cy")
        print(type(account).__name__, type(auto).__name__, type(narrow).__name__, auto, str(account))
        print(repr(account).partition(" object")[0], attempt(getattr, auto, "_hidden"))
        branch = bank.Branch()
        ann = branch.open("ann")
        print(type(ann).__name__, ann.deposit(7), branch.open("ann").balance, branch.names())
        in_process(use, account, narrow, branch, queue)
        for _ in range(3):
            print(queue.get())
        print(account.balance, branch.names(), list(branch.each()))
        history = bank.Historian("dora", 4).history()
        history.append("more")
        print(type(history).__name__, history[:], list(bank.countdown(3)))
        bank.the_one().deposit(1)
        print(bank.the_one().read(), THE_ONE.balance, attempt(bank.Account))
        print(attempt(account._callmethod, "history"), hasattr(bank, "Iterator"))


def nested():
    queue = mp.Queue()
    with Bank() as bank, mp.Manager() as manager:
        auto = bank.Auto("eve", 50)
        shared = manager.dict(accounts=manager.list([auto]))
        in_process(look, shared, bank.the_one(), queue)
        print(queue.get(), auto.read(), shared["accounts"][1], len(shared["accounts"]))
        held = manager.Queue()
        in_process(append_own, shared, held)
        print(held.get(), type(shared["late"]).__name__, sorted(shared.keys()))
        rows = manager.list([manager.list([row] * 2) for row in range(2)])
        rows[1][0] = "set"
        print([row[:] for row in rows], rows[1][0])
        print(manager.list([1]) * 2, manager.dict({1: 2}).copy(), manager.Namespace(x=1))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    own_classes()
    nested()
    print(THE_ONE.read())
