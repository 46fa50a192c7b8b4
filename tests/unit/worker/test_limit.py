from __future__ import annotations

import math
import time

import pytest

from transparent_mp.worker.limit import MARGIN, Limit


def test_without_a_limit_nothing_is_ever_due() -> None:
    limit = Limit(None)
    assert limit.retire_at == limit.end_at == limit.kill_at == limit.next_after(0.0) == math.inf


@pytest.mark.parametrize("life", [2.0, 900.0])
def test_half_of_it_is_for_new_processes_and_its_end_for_leaving(life: float) -> None:
    before = time.monotonic()
    limit = Limit(life)
    after = time.monotonic()
    assert before + life / 2 <= limit.retire_at <= after + life / 2
    assert limit.retire_at < limit.end_at < limit.kill_at < before + life
    assert limit.end_at >= before + life - MARGIN


def test_what_is_due_next_is_told_in_order() -> None:
    limit = Limit(60.0)
    assert limit.next_after(limit.retire_at - 1) == limit.retire_at
    assert limit.next_after(limit.retire_at) == limit.end_at
    assert limit.next_after(limit.end_at) == limit.kill_at
    assert limit.next_after(limit.kill_at) == math.inf
