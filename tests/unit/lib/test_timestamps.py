"""Times as users write them: understood, or refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib import timestamps

LIKE_TIMES = (
    st.text(alphabet="0123456789-:TZ.+ hmsu٣", max_size=35)
    | st.from_regex(
        r"[0-9]{1,5}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}(:[0-9]{2}){0,2}(\.[0-9]+)?(Z|[+-][0-9:]{5})?)?",
        fullmatch=True,
    )
    | st.from_regex(r"-?[0-9]{1,400}(\.[0-9]*)?", fullmatch=True)
)


@given(LIKE_TIMES)
def test_any_text_is_a_time_of_64_bits_or_refused(text: str) -> None:
    try:
        found = timestamps.parse(text, now_ns=1_700_000_000_000_000_000)
    except ValueError:
        return
    assert -(1 << 63) < found < 1 << 63


@given(st.integers(0, 9_000_000_000), st.integers(0, 999_999_999))
def test_seconds_with_a_fraction_are_exact(seconds: int, nanoseconds: int) -> None:
    text = f"{seconds}.{nanoseconds:09}"
    assert timestamps.parse(text) == seconds * 10**9 + nanoseconds


@pytest.mark.parametrize(("text", "sign"), [("9999999999", 1), ("-9999999999.5", -1)])
def test_a_time_that_nanoseconds_do_not_reach_is_the_last_they_do(text: str, sign: int) -> None:
    """Clients say so for "never" (``events --until 9999999999``)."""
    assert timestamps.parse(text) == sign * ((1 << 63) - 1)


@pytest.mark.parametrize("text", ["9" * 30, "-" + "9" * 30, "٣", "", "h", "1e9"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        timestamps.parse(text)
