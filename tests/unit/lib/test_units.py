import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib import units


@pytest.mark.parametrize(
    ("text", "size"),
    [("64m", 64 << 20), ("1.5GiB", 3 << 29), ("100", 100), ("2kb", 2048), ("1T", 1 << 40)],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1 2", "0x10", "1e3", "8192p", "9" * 400])
def test_a_malformed_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        units.parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1h2m3.5s", 3_723_500_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("0", 0),
        ("100ms", 100_000_000),
        ("1µs", 1_000),
    ],
)
def test_durations_as_go_reads_them(text: str, ns: int) -> None:
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "invalid") for text in ("", "s", "--1s", "9999999h", "9" * 400 + "h")),
        *((text, "missing unit in") for text in ("1", "1s2", "-1", "1.5.5s")),
        *(("1 s", 'unknown unit " s" in'), ("1d", 'unknown unit "d" in')),
        ('5"', r'unknown unit "\"" in'),
    ],
)
def test_a_malformed_duration_is_refused_in_gos_words(text: str, reason: str) -> None:
    shown = text.replace('"', r"\"")
    with pytest.raises(ValueError, match="^" + re.escape(f'{reason} duration "{shown}"') + "$"):
        units.parse_duration(text)


@given(st.integers(min_value=0, max_value=10**18))
def test_a_human_size_never_needs_more_than_four_digits(size: int) -> None:
    number = units.human_size(size).rstrip("kMGTPEB")
    assert len(number.replace(".", "")) <= 4 or float(number) < 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (49 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (70 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_ages_read_as_docker_writes_them(seconds: float, text: str) -> None:
    assert units.human_duration(seconds) == text
