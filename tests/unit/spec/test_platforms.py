"""Platforms: spellings, defaults, and what runs where."""

from __future__ import annotations

import pytest

from moorage.lib.errors import InvalidParameter
from moorage.spec import platforms
from moorage.spec.platforms import Platform


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("arm64", "linux/arm64"),
        ("linux", "linux/amd64"),
        ("Linux/AMD64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_spellings(text: str, shown: str) -> None:
    assert str(platforms.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "linux/amd64/v1/x", "linux//v1", "li nux/amd64", "nonsense"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(InvalidParameter):
        platforms.parse(text)


def test_the_best_offer_is_the_nearest_that_runs() -> None:
    offers = [
        (Platform(os="linux", architecture="arm", variant=v), v) for v in ("v5", "v7", "v6", "v8")
    ]
    assert platforms.best(platforms.parse("linux/arm/v7"), offers) == "v7"
    assert platforms.best(platforms.parse("linux/arm/v6"), offers) == "v6"
    assert platforms.best(platforms.parse("linux/arm64"), offers) == "v8"
    assert platforms.best(platforms.parse("linux/amd64"), offers) is None
    amd = [(platforms.parse("linux/amd64/v3"), 3), (platforms.parse("linux/amd64"), 1)]
    assert platforms.best(platforms.parse("linux/amd64"), amd) == 1
    assert platforms.best(platforms.parse("linux/amd64/v4"), amd) == 3
