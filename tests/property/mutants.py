"""Memory that breaks one promise of the model each: do the random programs notice?

    python tests/property/mutants.py              all of them
    python tests/property/mutants.py start join   these

A mutant is the package with one piece of text replaced, copied to a directory of its own, where the
client and its workers import it from. A piece that is no longer there, or there twice, is an error.

Puts, gets and notifications stand on `send`, `receive` and `unlock`, and have no code of their own to be
wrong. A pool's results have: tests/contract/programs/inherited_memory.py prints what tasks have written.
What takes two threads of one process in one moment (a publication that goes along with another's) is too
rare for whole programs: tests/unit/primitives/test_memory_model.py draws it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import transparent_mp

RUN = Path(__file__).with_name("run.py")
PACKAGE = Path(transparent_mp.__file__).parent
#: Beside the package in a checkout, in it in a wheel.
DOOR = PACKAGE.parent / "sitecustomize"
#: Runs within which a mutant is noticed, or counts as not noticed; and the seconds they may take.
RUNS, PATIENCE = 400, 170
#: Where programs begin: always the same ones, so that what is noticed once is noticed again.
SEED = 1


@dataclass(frozen=True)
class Mutant:
    """`old`, which is in `file` exactly once, becomes `new`."""

    file: str
    old: str
    new: str
    #: Words for the run.
    words: tuple[str, ...] = ()


MUTANTS = {
    # Releases that publish nothing.
    "start": Mutant("primitives/popen.py", "(*memory.publish(), *before, *first)", "(*before, *first)"),
    "exit": Mutant("worker/child.py", "        memory.leave()\n", ""),
    "send": Mutant(
        "primitives/connection.py",
        "memory.cast(*first, push, on_reply=shared.sent, given=given)",
        "session.store.cast(*first, push, on_reply=shared.sent, given=given)",
    ),
    "unlock": Mutant(
        "primitives/synchronize.py",
        "go()\n            memory.cast(self._giving, riders=self.riders, given=given)",
        "go()\n            sessions.current().store.cast(self._giving, given=given)",
    ),
    "up": Mutant(
        "primitives/synchronize.py",
        "if memory.call(self._giving, riders=self.riders)[-1] == 0:",
        "if sessions.current().store.call(self._giving)[-1] == 0:",
    ),
    "set": Mutant(
        "primitives/event.py",
        'memory.cast(self._script("set_event", self._words, session.ttl))',
        'session.store.cast(self._script("set_event", self._words, session.ttl))',
    ),
    "arrive": Mutant(
        "primitives/barrier.py",
        'memory.cast(self._script("arrive", *args))',
        'session.store.cast(self._script("arrive", *args))',
    ),
    # Acquires that bring nothing.
    "join": Mutant("primitives/popen.py", "                memory.synchronise()\n", "                pass\n"),
    "receive": Mutant(
        "primitives/connection.py",
        "        memory.merge(rest, shared.early.brings if early and shared.early else None)\n",
        "",
    ),
    "lock": Mutant(
        "primitives/synchronize.py",
        "            token, *replies = found\n            memory.merge(replies)\n",
        "            token, *replies = found\n",
    ),
    "await": Mutant("primitives/rendezvous.py", "        memory.merge(replies[1:])\n", ""),
    "look": Mutant("primitives/rendezvous.py", "        memory.merge(replies)\n", ""),
    # Diffs and twins.
    "last byte": Mutant(
        "primitives/diff.py",
        "found.append((block, start, new[start:stop]))",
        "found.append((block, start, new[start : max(start + 1, stop - 1)]))",
    ),
    "whole blocks": Mutant("primitives/diff.py", "    if 0 not in differs:\n", "    if differs:\n"),
    "twin as it was": Mutant("primitives/replica.py", "            self._twin.set(first, now)\n", ""),
    "twin without theirs": Mutant(
        "primitives/merging.py",
        "self.twin.set(block, diff.merge(view, old, theirs, kept, self._alone))",
        "diff.merge(view, old, theirs, kept, self._alone)",
    ),
    "theirs over mine": Mutant("primitives/diff.py", "    mine = view.tobytes()\n", "    mine = twin\n"),
    # What is on its way.
    "what is away is not kept": Mutant(
        "primitives/merging.py",
        "        for part in self.away:\n            for entry",
        "        for part in ():\n            for entry",
    ),
    "a gap is not seen": Mutant(
        "primitives/replica.py", "        if begins > max(self.known, after):\n", "        if False:\n"
    ),
    # The store.
    "masks are blocks": Mutant(
        "store/lua/publish_large.lua", "alone = tonumber(other) <= known", "alone = true"
    ),
    "nobody else wrote": Mutant(
        "store/lua/publish_large.lua", "return was[1] or '0'", "return was[2] or '0'"
    ),
    "who wrote last wrote all": Mutant(
        "store/lua/fetch.lua",
        "by == but and other or last) > known then\n      local block",
        "by == but and 0 or last) > known then\n      local block",
    ),
    # Small segments.
    "masks are small blocks": Mutant(
        "store/lua/publish.lua", "where ~= '=' and tonumber(other) > known", "false", ("--small",)
    ),
    "nobody else wrote a small one": Mutant(
        "store/lua/publish.lua", "by == writer and foreigner or another", "foreigner", ("--small",)
    ),
    "news without contents": Mutant(
        "primitives/replica.py",
        "answer[4] = version if len(reply) == 5 else 0",
        "answer[4] = 0",
        ("--small",),
    ),
    "no news of others before mine": Mutant(
        "primitives/replica.py",
        "others = int(reply[3] or 0) if reply[2] == session.uid.encode() else version",
        "others = 0 if reply[2] == session.uid.encode() else version",
        ("--small",),
    ),
}


def outcome(name: str, runs: int = RUNS) -> str:
    """What the random programs say of a mutant: "" when they notice nothing."""
    mutant = MUTANTS[name]
    with tempfile.TemporaryDirectory(prefix="mutant-") as place:
        copy = Path(place) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        if DOOR.is_dir():
            shutil.copytree(DOOR, Path(place) / DOOR.name)
        changed = copy / mutant.file
        text = changed.read_text()
        if text.count(mutant.old) != 1:
            raise LookupError(f"{mutant.file} has it {text.count(mutant.old)} times: {mutant.old}")
        changed.write_text(text.replace(mutant.old, mutant.new))
        environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
        environ["PYTHONPATH"] = place
        command = [sys.executable, "-m", "transparent_mp", str(RUN), "--seed", str(SEED), "--runs", str(runs)]
        command += mutant.words
        done = subprocess.run(
            command, env=environ, cwd=place, capture_output=True, text=True, timeout=PATIENCE
        )
    if f"with {copy}" not in done.stdout:
        raise RuntimeError(f"the mutant did not run: {done.stdout}{done.stderr}")
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def main() -> int:
    survived = []
    for name in sys.argv[1:] or MUTANTS:
        said = outcome(name)
        first = next((line for line in said.splitlines() if line.startswith("failed")), "")
        print(
            f"{name:26} {'NOT NOTICED' if not said else first}  {said.splitlines()[-1] if said else ''}",
            flush=True,
        )
        if not said:
            survived.append(name)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
