import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib import clock


@given(st.integers(min_value=1, max_value=4_000_000_000 * 10**9))
def test_a_time_survives_its_text(ns: int) -> None:
    assert clock.parse_rfc3339(clock.rfc3339(ns)) == ns


def test_never_is_gos_zero_time() -> None:
    assert clock.rfc3339(0) == "0001-01-01T00:00:00Z"
    assert clock.parse_rfc3339("0001-01-01T00:00:00Z") == 0


def test_a_zone_is_taken_into_account() -> None:
    assert clock.parse_rfc3339("2024-01-01T10:00:00+02:00") == clock.parse_rfc3339(
        "2024-01-01T08:00:00Z"
    )


@pytest.mark.parametrize("text", ["", "2024", "2024-01-01", "2024-13-01T00:00:00Z", "x"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|range"):
        clock.parse_rfc3339(text)


@pytest.mark.parametrize(
    "text", ["2024-01-01T10:00:61Z", "2024-01-01T10:00:00+25:00", "2024-01-01T10:00:00+01:60"]
)
def test_seconds_and_zones_that_no_clock_shows_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        clock.parse_rfc3339(text)
