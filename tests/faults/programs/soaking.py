"""Rounds of messages over every kind of channel; each is numbered, and chained to those before it.

    soaking.py METHOD SECONDS SEED

A round's processes send to the client, and take what it sends to them; when all have ended it is judged.
A line of JSON says what was sent and what is wrong. Who was killed has sent the first of its messages and no
others; who was killed while it consumed has lost nothing before the last that it has answered.
"""

import hashlib
import json
import multiprocessing as mp
import os
import random
import signal
import sys
import time
from collections import Counter
from multiprocessing import connection

EACH = 120
TASKS = 200
CHANNELS = ("queue", "simple", "pipe")


def payload(chance):
    """Mostly small; one in fifty is stored apart."""
    return chance.randbytes(400_000 if chance.random() < 0.02 else chance.randrange(2000))


def produce(who, seed, channels):
    """Send on each channel in turn; each has a chain of its own."""
    chance = random.Random(seed)
    chains = [b""] * len(channels)
    for number in range(EACH):
        for at, channel in enumerate(channels):
            content = payload(chance)
            chains[at] = hashlib.sha256(chains[at] + content).digest()
            message = (who, number, content, chains[at])
            channel.send(message) if hasattr(channel, "send") else channel.put(message)


def consume(who, tasks, results):
    while (task := tasks.get()) is not None:
        number, content = task
        results.put((who, number, hashlib.sha256(content).hexdigest()))


class Chain:
    """What came of one producer on one channel."""

    def __init__(self):
        self.count, self.last, self.wrong = 0, b"", ""

    def add(self, number, content, digest):
        mine = hashlib.sha256(self.last + content).digest()
        if (number, digest) != (self.count, mine) and not self.wrong:
            self.wrong = f"message {number} came as number {self.count}, its digest {digest == mine}"
        self.count, self.last = self.count + 1, mine


class Round:
    """One round's channels and processes."""

    def __init__(self, context, chance):
        self.queue, self.simple, self.results = context.Queue(), context.SimpleQueue(), context.Queue()
        self.tasks = context.Queue()
        self.pipes, self.producers, self.consumers = [], [], []
        self.chains = {(who, name): Chain() for who in range(2) for name in CHANNELS}
        self.answers = []
        for who in range(2):
            here, there = context.Pipe(duplex=False)
            args = (who, chance.random(), (self.queue, self.simple, there))
            self.producers.append(context.Process(target=produce, args=args))
            self.producers[-1].start()
            there.close()
            self.pipes.append(here)
        for who in range(2):
            self.consumers.append(context.Process(target=consume, args=(who, self.tasks, self.results)))
            self.consumers[-1].start()
        self.sent = {}
        for number in range(TASKS):
            content = payload(chance)
            self.sent[number] = hashlib.sha256(content).hexdigest()
            self.tasks.put((number, content))
        for _ in self.consumers:
            self.tasks.put(None)

    def receive(self):
        """Everything until all have ended, and what is there then."""
        sentinels = {process.sentinel for process in self.producers + self.consumers}
        open_ = {self.queue._reader, self.simple._reader, self.results._reader, *self.pipes}
        while sentinels:
            ready = connection.wait([*open_, *sentinels])
            for one in ready:
                if one in sentinels:
                    sentinels.discard(one)
                else:
                    self._take(one, open_)
        # What ended processes have sent is there.
        while ready := connection.wait(list(open_), 0):
            for one in ready:
                self._take(one, open_)

    def _take(self, one, open_):
        if one is self.results._reader:
            self.answers.append(self.results.get())
            return
        try:
            name = (
                "queue" if one is self.queue._reader else "simple" if one is self.simple._reader else "pipe"
            )
            message = {"queue": self.queue, "simple": self.simple}.get(name)
            who, *rest = one.recv() if message is None else message.get()
        except EOFError:
            open_.discard(one)
            return
        self.chains[who, name].add(*rest)

    def judge(self):
        """What is wrong."""
        for process in self.producers + self.consumers:
            process.join()
        wrong = []
        for (who, name), chain in self.chains.items():
            code = self.producers[who].exitcode
            if chain.wrong:
                wrong.append(f"{name} of a producer that ended with {code}: {chain.wrong}")
            if chain.count != EACH and code != -signal.SIGKILL:
                wrong.append(f"{name} of a producer that ended with {code}: {chain.count} messages")
        left = []
        while self.tasks._reader.poll(0):
            left.append(self.tasks.get())
        answers = Counter(number for _, number, _ in self.answers)
        answers.update(task[0] for task in left if task is not None)
        last = {
            who: max((number for one, number, _ in self.answers if one == who), default=-1)
            for who, process in enumerate(self.consumers)
            if process.exitcode == -signal.SIGKILL
        }
        # Tasks are taken in their order, and answered in it; what lay in the killed one's buffer is lost.
        missing = sorted(set(self.sent) - set(answers))
        lost = [number for number in missing if not last or number < min(last.values())]
        doubled = [number for number, times in answers.items() if times > 1]
        if lost or doubled:
            wrong.append(f"killed consumers {last}: lost {lost} of {missing}, doubled {doubled}")
        if any(self.sent[number] != digest for _, number, digest in self.answers):
            wrong.append("a consumer has read something else than was sent")
        return wrong

    def close(self):
        for process in self.producers + self.consumers:
            process.close()
        for queue in (self.queue, self.results, self.tasks):
            queue.close()
            queue.join_thread()


def held():
    """Descriptors, threads and kilobytes of this process."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return [len(os.listdir("/proc/self/fd")), int(fields["Threads"]), int(fields["VmRSS"].split()[0])]


def main(method, seconds, seed):
    context, chance = mp.get_context(method), random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        one = Round(context, chance)
        one.receive()
        wrong = one.judge()
        messages = sum(chain.count for chain in one.chains.values()) + len(one.answers) + TASKS
        total = hashlib.sha256(b"".join(chain.last for chain in one.chains.values())).hexdigest()
        codes = [process.exitcode for process in one.producers + one.consumers]
        one.close()
        said = {"messages": messages, "digest": total, "codes": codes, "wrong": wrong, "held": held()}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
