"""After a round of anything there is no more than before it, at the client, its workers and in the store.

Short rounds of some of the cases that `make leaks` runs at full length.
"""

from __future__ import annotations

import pytest
from leak_runs import COUNTS, TOLERANCE, grown, run

SHORT = {case: short for case, (short, _long) in COUNTS.items() if short}


@pytest.mark.parametrize("case", SHORT)
def test_returns_to_where_it_was(case: str) -> None:
    found = run(case, SHORT[case])
    assert grown(found) == []


def test_a_leak_of_any_kind_would_be_seen() -> None:
    found = {"first": dict.fromkeys(TOLERANCE, 10), "last": dict.fromkeys(TOLERANCE, 10)}
    assert grown({**found, "after": {"store_keys": 0}}) == []
    for name, tolerance in TOLERANCE.items():
        leaking = {**found["last"], name: 11 + tolerance}
        assert len(grown({**found, "last": leaking, "after": {"store_keys": 0}})) == 1
    assert grown({**found, "after": {"store_keys": 1}}) == ["1 keys are left by the session"]
