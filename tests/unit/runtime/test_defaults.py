"""What a container's log is written with, whatever its configuration shows."""

from __future__ import annotations

import pytest

from moorage.runtime import defaults


@pytest.mark.parametrize(
    ("driver", "given", "used"),
    [
        ("json-file", {}, defaults.LOG_OPTIONS),
        ("json-file", {"labels": "a"}, {**defaults.LOG_OPTIONS, "labels": "a"}),
        ("json-file", {"max-file": "2"}, {**defaults.LOG_OPTIONS, "max-file": "2"}),
        ("json-file", {"max-size": "1m"}, {"max-size": "1m"}),
        ("json-file", {"max-size": "-1"}, {"max-size": "-1"}),
        ("syslog", {}, {}),
    ],
)
def test_a_log_rotates_unless_its_size_is_given(
    driver: str, given: dict[str, str], used: dict[str, str]
) -> None:
    assert defaults.log_options(driver, given) == used
