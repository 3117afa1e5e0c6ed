from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.build import ignore
from moorage.build.ignore import Matcher
from moorage.lib.errors import InvalidParameter

PARTS = st.sampled_from(["a", "b", "c.go", "docs", "x.md"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(
    st.sampled_from(["a", "*", "**", "*.md", "b?", "[ab]", "docs"]), min_size=1, max_size=3
).map("/".join)


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        (["*.md"], "a.md", True),
        (["*.md"], "d/a.md", False),
        (["**/*.md"], "a.md", True),
        (["**/*.md"], "d/e/a.md", True),
        (["d"], "d/e/f", True),
        (["/d"], "d/e", True),
        (["d/"], "d/e", True),
        (["./d/../e"], "e/x", True),
        (["*", "!keep"], "keep", False),
        (["*", "!keep"], "other", True),
        (["*", "!d/keep"], "d/keep", False),
        (["d", "!d/k*", "d/kx"], "d/kx", True),
        (["d", "!d/k*", "d/kx"], "d/ky", False),
        (["d/**"], "d", False),
        (["d/**"], "d/x/y", True),
        (["**"], "x/y", True),
        (["a?c"], "abc", True),
        (["a?c"], "a/c", False),
        (["a[0-9]c"], "a5c", True),
        (["a[^0-9]c"], "a5c", False),
        (["a\\*c"], "a*c", True),
        (["a\\*c"], "abc", False),
        (["a.c"], "abc", False),
        ([".git"], ".gitignore", False),
        (["a**b"], "axx/yyb", True),
        (["**/node_modules"], "p/node_modules/q", True),
    ],
)
def test_patterns_mean_what_docker_says(patterns: list[str], path: str, excluded: bool) -> None:  # noqa: FBT001
    assert Matcher(patterns).excludes(path) is excluded


@given(st.lists(PATTERNS, max_size=5), PATHS)
def test_what_is_pruned_has_nothing_wanted_below(patterns: list[str], path: str) -> None:
    mixed = [f"!{text}" if number % 2 else text for number, text in enumerate(patterns)]
    matcher = Matcher(mixed)
    parts = path.split("/")
    for length in range(1, len(parts)):
        if matcher.prunes("/".join(parts[:length])):
            assert matcher.excludes(path)


@given(st.lists(PATTERNS, max_size=5), PATHS)
def test_the_last_pattern_decides(patterns: list[str], path: str) -> None:
    assert Matcher([*patterns, "**"]).excludes(path)
    assert not Matcher([*patterns, "!**"]).excludes(path)


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidParameter):
        Matcher(ignore.parse(data)).excludes("a/b")


def test_comments_blanks_and_a_byte_order_mark_are_no_patterns() -> None:
    assert ignore.parse(b"\xef\xbb\xbf# c\n\n a \n! b/./c\n /d/ \n") == ["a", "!b/c", "d"]


@pytest.mark.parametrize("text", ["!", "[a", "a[]"])
def test_a_malformed_pattern_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="pattern"):
        Matcher([text])
