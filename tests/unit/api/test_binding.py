"""What is read from a query, and what is refused."""

from __future__ import annotations

import pytest
from msgspec import Struct

from moorage.api.binding import QueryBinding
from moorage.api.system import timestamp_ns
from moorage.lib.errors import InvalidParameter


class Query(Struct, frozen=True):
    """A number that may be absent."""

    t: int | None = None


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("-1", -1), ("+7", 7), ("", None)])
def test_numbers(text: str, number: int | None) -> None:
    assert QueryBinding(Query).convert({"t": [text]}) == Query(t=number)


@pytest.mark.parametrize("text", ["five", "1_0", " 1", "1.5", "\u0665", "9" * 19, "9" * 5000])
def test_what_go_takes_for_no_number_is_refused(text: str) -> None:
    """A longer one than 64 bits was an internal error in whatever used it."""
    with pytest.raises(InvalidParameter, match='invalid value for "t"'):
        QueryBinding(Query).convert({"t": [text]})


def test_times_of_events() -> None:
    assert timestamp_ns("since", "") is None
    assert timestamp_ns("since", "1.5") == 1_500_000_000
    assert timestamp_ns("since", "1970-01-01T00:00:01Z") == 1_000_000_000
    assert timestamp_ns("until", "9999999999") == (1 << 63) - 1  # how clients say "for ever"
    for text in ("--5", "yesterday", "9" * 5000, "9" * 30):
        with pytest.raises(InvalidParameter, match="is no time"):
            timestamp_ns("since", text)
