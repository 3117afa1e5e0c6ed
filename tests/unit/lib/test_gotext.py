"""Values as Go prints them."""

from __future__ import annotations

import pytest

from moorage.lib.gotext import duration, quoted


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (250_000_000, "250ms"),
        (1_500_000_000, "1.5s"),
        (30_000_000_000, "30s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (90_061_000_000_001, "25h1m1.000000001s"),
        (-1_000_000, "-1ms"),
    ],
)
def test_durations(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_slices_of_strings() -> None:
    assert quoted([]) == "[]"
    assert quoted(["a b", 'c"d', "é<>", "\x00\x7f\u2028"]) == (
        r'["a b" "c\"d" "é<>" "\x00\x7f\u2028"]'
    )
