"""Names of images: the quick look agrees with the grammar."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moorage.cli import references
from moorage.lib.errors import InvalidParameter
from moorage.spec.reference import parse_normalized

_DIGEST = st.sampled_from(["", "@sha256:" + "0" * 64, "@sha256:" + "0" * 63, "@", "@md5:1"])


@given(st.text(alphabet="aZ0/:.-_@ é", max_size=12), _DIGEST)
@example("/0", "")
@example("a.b//c", "")
@example("a:5/b", "")
@example("a_b.c/d", "")
@settings(max_examples=1000)
def test_what_the_quick_look_lets_pass_is_a_name(name: str, digest: str) -> None:
    name += digest
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


@pytest.mark.parametrize(
    "name",
    ["my-app_x:1.0", "ghcr.io/org/app:v1", "localhost:5000/a/b", "a.b:1/c@sha256:" + "0" * 64],
)
def test_ordinary_names_need_no_grammar(name: str) -> None:
    assert references.is_plain(name)
