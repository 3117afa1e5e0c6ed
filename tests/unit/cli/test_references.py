"""Names of images: the quick look agrees with the grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.cli import references
from moorage.lib.errors import InvalidParameter
from moorage.spec.reference import parse_normalized


@given(st.text(alphabet="abcXYZ019/:.-_@ é", max_size=70))
def test_what_the_quick_look_lets_pass_is_a_name(name: str) -> None:
    if references.is_plain(name):
        parse_normalized(name)


@pytest.mark.parametrize(
    "name", ["busybox", "a/b:1.2", "localhost:5000/a/b:x-1", "a@sha256:" + "0" * 64]
)
def test_names_are_names(name: str) -> None:
    references.check(name)


@pytest.mark.parametrize(
    "name",
    ["", "A", "a:", "a:b:c", "a//b", "a/", "/a", "a.b//c", ":x", "0" * 64, "a b", "a:é"],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter):
        references.check(name)
