"""What a second client of the Redis can do to a session whose secret it has not: nothing but disturb."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Callable

from touching import Touches

APP = """
    import multiprocessing, sys

    def child(questions, answers):
        while True:
            try:
                item = questions.get()
            except OSError as error:
                answers.put(f"refused {type(error).__name__}: {error}")
                continue
            if item is None:
                return
            answers.put(f"got {item}")

    def say(text):
        print(text, flush=True)

    if __name__ == "__main__":
        questions, answers = multiprocessing.Queue(), multiprocessing.Queue()
        process = multiprocessing.Process(target=child, args=(questions, answers))
        process.start()
        questions.put("first")
        print(answers.get())
        for line in sys.stdin:
            order, _, rest = line.strip().partition(" ")
            if order == "put":
                questions.put(rest)
            elif order == "process":
                other = multiprocessing.Process(target=say, args=(rest,))
                other.start()
                other.join()
            if order != "process":
                try:
                    print(answers.get())
                except OSError as error:
                    print(f"refused {type(error).__name__}: {error}")
        questions.put(None)
        process.join()
"""


def refusals(running: Any) -> int:
    """How many the session's end tells of."""
    out, err, status = running.finish()
    assert (out, status) == ("", 0), err
    told = [
        line for line in err.splitlines() if "payloads from the store were refused in this session" in line
    ]
    return int(told[0].split(" payloads")[0].split()[-1]) if told else 0


def test_without_an_intruder_nothing_is_refused(session: Any) -> None:
    running, _server, _reader = session
    assert running.ask("put 2") == "got 2"
    assert refusals(running) == 0


def test_what_is_injected_replayed_cut_or_changed_is_refused_and_counted(
    session: Any, tmp_path: Path
) -> None:
    running, server, reader = session
    assert running.ask("put marked") == "got marked"
    key, message = reader.pushed(":q", b"marked")
    evil = pickle.dumps(Touches(tmp_path / "evil"))
    changed = message.replace(b"marked", b"marred")
    for forged, why in (
        (message, "was received before"),
        (message[:-1], "does not carry this session's seal"),
        (message[:20], "does not carry this session's seal"),
        (changed, "does not carry this session's seal"),
        (evil, "does not carry this session's seal"),
        (bytes(32) + b"I" + evil, "does not carry this session's seal"),
        (message[:32] + b"I" + evil, "does not carry this session's seal"),
        (message[:32] + b"B" + bytes(56), "does not carry this session's seal"),
    ):
        server.ask("RPUSH", key, forged)
        answer = running.ask("hear")
        assert answer.startswith("refused UntrustedPayloadError"), answer
        assert why in answer
    assert not (tmp_path / "evil").exists()
    # And it goes on.
    assert running.ask("put 3") == "got 3"
    assert refusals(running) == 8


def test_a_message_is_not_read_at_another_queue(session: Any) -> None:
    running, server, reader = session
    assert running.ask("put marked") == "got marked"
    questions, message = reader.pushed(":q", b"marked")
    answers, _ = reader.pushed(":q", b"got marked")
    assert questions != answers
    server.ask("RPUSH", answers, message)
    answer = running.ask("hear")
    assert answer.startswith("refused UntrustedPayloadError")
    assert "does not carry this session's seal" in answer
    assert refusals(running) == 1


def test_a_message_of_another_session_is_not_read(
    session: Any, program: Callable[..., Any], reading: Callable[..., Any]
) -> None:
    running, server, reader = session
    assert running.ask("put marked") == "got marked"
    key, _ = reader.pushed(":q", b"marked")
    other = program(APP, REDIS_URL=server.address)
    assert other.hear() == "got first"
    assert other.ask("put theirs") == "got theirs"
    _, theirs = reader.pushed(":q", b"theirs")
    server.ask("RPUSH", key, theirs)
    assert "does not carry this session's seal" in running.ask("hear")
    assert (refusals(other), refusals(running)) == (0, 1)


def test_a_process_is_not_run_again_and_no_other_is_run(session: Any) -> None:
    running, server, reader = session
    running.say("process once")
    assert running.hear() == "once"
    control, frame = reader.pushed(":control:", b"once")
    head, _, body = frame.partition(b"\n")
    server.ask("RPUSH", control, frame)
    # The same body under another name is that of no process of the session.
    uid = head.split(b'"uid":"')[1][:16]
    server.ask("RPUSH", control, head.replace(uid, b"0123456789abcdef") + b"\n" + body)
    server.ask("RPUSH", control, b"nonsense")
    running.say("process twice")
    assert running.hear() == "twice"
    # What is said of the process in front of its body has its name, too.
    assert refusals(running) == 3


def test_nobody_speaks_in_a_processs_name(session: Any) -> None:
    running, server, reader = session
    running.say("process once")
    assert running.hear() == "once"
    inbox, event = reader.pushed(":inbox:", b"once")
    server.ask("RPUSH", inbox, event)
    server.ask("RPUSH", inbox, b'{"kind":"output","fd":1,"pid":1}\nforged\n')
    server.ask("RPUSH", inbox, event.replace(b"once", b"ones"))
    server.ask("RPUSH", inbox, b'{"kind":"want","workers":0,"starting":0,"waiting":1000}\n')
    server.ask("RPUSH", inbox, b'{"kind":"signal","signal":9}\n')
    running.say("process twice")
    # Neither what was said again nor what was forged.
    assert running.hear() == "twice"
    assert refusals(running) == 5
