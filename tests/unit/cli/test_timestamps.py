"""``--since`` and ``--until``."""

from __future__ import annotations

import pytest

from moorage.cli import timestamps
from moorage.cli.failure import CommandError
from moorage.lib import clock

NOW_NS = 1_795_602_313_250_000_000


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ns", lambda: NOW_NS)
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", ""),
        ("1700000000", "1700000000"),
        ("1700000000.5", "1700000000.5"),
        ("10s", "1795602303.250000000"),
        ("1h30m", "1795596913.250000000"),
        ("2013-01-02T13:23:37Z", "1357133017.000000000"),
        ("2013-01-02T13:23:37.123456789+01:00", "1357129417.123456789"),
    ],
)
def test_times(text: str, seconds: str) -> None:
    assert timestamps.parse(text) == seconds


@pytest.mark.parametrize(
    "text", ["2013-01-02T13:23:37", "2013-01-02T13:23", "2013-01-02", "2013-01"]
)
def test_a_date_may_lack_its_end(text: str) -> None:
    assert timestamps.parse(text).endswith(".000000000")


@pytest.mark.parametrize("text", ["yesterday", "2013-13-01", "1x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="failed to parse value as time or duration"):
        timestamps.parse(text)
