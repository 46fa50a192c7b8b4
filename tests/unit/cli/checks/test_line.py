from __future__ import annotations

from transparent_mp.cli.checks.line import doubtful, well, wrong


def test_a_line_says_how_it_stands_and_below_what_to_do() -> None:
    assert well("Redis", "is there").text() == "ok   Redis: is there"
    assert doubtful("Redis", "is far", "move").text() == "look Redis: is far\n     -> move"
    assert wrong("Redis", "is gone", "start it").text() == "FAIL Redis: is gone\n     -> start it"
