"""A second client of the Redis that changes what a message only names, or answers in the client's place."""

from __future__ import annotations

import os
import pickle
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from touching import Touches

APP = """
    import multiprocessing, os, sys

    # Asked for when it is used.
    large = os.urandom(3_000_000)

    def answered(questions, answers):
        while True:
            try:
                item = questions.get()
                if item is None:
                    return
                if item == "global":
                    item += str(len(large))
                answers.put(f"got {item[:6]}")
            except OSError as error:
                answers.put(f"refused {type(error).__name__}: {error}")

    if __name__ == "__main__":
        questions, answers = multiprocessing.Queue(), multiprocessing.Queue()
        process = multiprocessing.Process(target=answered, args=(questions, answers))
        process.start()
        questions.put("first")
        print(answers.get())
        for line in sys.stdin:
            order = line.strip()
            questions.put("large " + "x" * 400_000 if order == "large" else order)
            print(answers.get())
        questions.put(None)
        process.join()
"""


def freeze(running: Any, *, worker: bool, number: int = signal.SIGSTOP) -> None:
    """Stop the client, or its worker with all its processes, or let them go on."""
    if not worker:
        os.kill(running.pid, number)
        return
    for pid, (command, _) in running.processes().items():
        if b"transparent_mp.cli.worker" in command:
            os.kill(pid, number)


def refusals(running: Any) -> int:
    """How many the session's end tells of."""
    _, err, status = running.finish()
    assert status == 0, err
    told = re.findall(r"(\d+) payloads from the store were refused", err)
    return int(told[0]) if told else 0


def test_a_large_content_that_is_changed_cut_or_taken_away_is_refused(session: Any, tmp_path: Path) -> None:
    running, server, reader = session
    questions, _ = reader.pushed(":q", b"first")
    evil = pickle.dumps(Touches(tmp_path / "evil"))
    for change in ("nothing", "changed", "cut", "longer", "another's", "taken away"):
        freeze(running, worker=True)
        since = reader.count()
        running.say("large")
        _, message = reader.pushed(questions, since=since)
        # In b the name of a list stands before that of the content.
        at = {b"B": 33, b"b": 49}[message[32:33]]
        (key,) = server.ask("KEYS", b"*:blob:" + message[at : at + 16])
        # The large piece behind what stands before it in the pickle.
        content = server.ask("HGET", key, 1)
        assert len(content) >= 400_000
        if change == "taken away":
            server.ask("UNLINK", key)
        elif change != "nothing":
            put = {
                "changed": content[:-20] + b"y" + content[-19:],
                "cut": content[:-1],
                "longer": content + b"y",
                "another's": evil + bytes(len(content) - len(evil)),
            }[change]
            server.ask("HSET", key, 1, put)
        freeze(running, worker=True, number=signal.SIGCONT)
        answer = running.hear()
        if change == "nothing":
            assert answer == "got large "
            continue
        assert answer.startswith("refused UntrustedPayloadError: a large message's content"), (change, answer)
    assert not (tmp_path / "evil").exists()
    assert running.ask("again") == "got again"
    assert refusals(running) == 5


@pytest.mark.parametrize("forged", [b"I" + b"x" * 60, b"", b'{"head": {}, "digest": "", "in_depot": false}'])
def test_an_answer_that_is_not_the_client_s_is_refused_and_nothing_of_it_is_unpickled(
    session: Any, tmp_path: Path, forged: bytes
) -> None:
    running, server, reader = session
    questions, _ = reader.pushed(":q", b"first")
    freeze(running, worker=True)
    since = reader.count()
    running.say("global")
    reader.pushed(questions, since=since)
    freeze(running, worker=False)
    freeze(running, worker=True, number=signal.SIGCONT)
    _, request = reader.pushed(":inbox:", b'"topic":"kept"', since)
    found = re.search(rb'"key":"([^"]*:answer:[^"]*)"', request)
    assert found is not None
    evil = pickle.dumps(Touches(tmp_path / "evil"))
    server.ask("RPUSH", found[1], forged, evil)
    freeze(running, worker=False, number=signal.SIGCONT)
    answer = running.hear()
    assert answer.startswith("refused UntrustedPayloadError"), answer
    assert not (tmp_path / "evil").exists()
    assert running.ask("again") == "got again"
    assert refusals(running) == 1
