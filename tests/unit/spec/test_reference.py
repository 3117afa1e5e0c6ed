"""The grammar of image references, and Docker's short forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.spec import reference
from moorage.spec.reference import parse_normalized

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("nginx", "docker.io/library/nginx", "nginx"),
        ("nginx:1.2", "docker.io/library/nginx:1.2", "nginx:1.2"),
        ("library/nginx", "docker.io/library/nginx", "nginx"),
        ("docker.io/nginx", "docker.io/library/nginx", "nginx"),
        ("index.docker.io/u/nginx", "docker.io/u/nginx", "u/nginx"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("u/nginx", "docker.io/u/nginx", "u/nginx"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
        ("Host/x", "Host/x", "Host/x"),
        ("[fd00::1]:5000/x", "[fd00::1]:5000/x", "[fd00::1]:5000/x"),
        ("reg.example/a/b_c/d__e", "reg.example/a/b_c/d__e", "reg.example/a/b_c/d__e"),
        (f"x@{DIGEST}", f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", f"docker.io/library/x:1@{DIGEST}", f"x:1@{DIGEST}"),
    ],
)
def test_forms(text: str, full: str, familiar: str) -> None:
    found = parse_normalized(text)
    assert (str(found), found.familiar) == (full, familiar)
    assert parse_normalized(full) == parse_normalized(familiar) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "a:",
        "/a",
        "a/",
        "a//b",
        "a:b:c",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a b",
        "a\n",
        "a:1\n",
        "é",
        "a:é",
        "a@sha256:short",
        "a@md5:" + "0" * 32,
        "a" * 256,
        "a:" + "t" * 129,
        "../../etc/passwd",
        "https://reg/x",
        "A",
        "f" * 64,
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_normalized(text)


def test_messages_name_the_mend() -> None:
    with pytest.raises(
        InvalidParameter, match=r"repository name \(library/Foo\) must be lowercase"
    ):
        parse_normalized("Foo")
    with pytest.raises(InvalidParameter, match="64-byte hexadecimal"):
        parse_normalized("0" * 64)


@given(st.text(alphabet="abz01:/@._-[]A", max_size=40))
def test_whatever_parses_comes_back_the_same(text: str) -> None:
    try:
        found = parse_normalized(text)
    except InvalidParameter:
        return
    assert parse_normalized(str(found)) == found
    assert parse_normalized(found.familiar) == found
    assert parse_normalized(found.with_default_tag().familiar) == found.with_default_tag()


def test_names_that_read_like_digests_are_ambiguous() -> None:
    assert reference.is_ambiguous(parse_normalized("sha256:" + "1" * 64))
    assert reference.is_ambiguous(parse_normalized("e" * 64 + ":latest"))
    assert not reference.is_ambiguous(parse_normalized("reg.example/sha256:1"))
    assert not reference.is_ambiguous(parse_normalized("deadbeef"))


def test_tags_and_digests_replace_each_other() -> None:
    found = parse_normalized(f"x:1@{DIGEST}")
    assert found.with_tag("2").familiar == "x:2"
    assert found.repository().familiar == "x"
    assert found.repository().with_default_tag().familiar == "x:latest"
    with pytest.raises(InvalidParameter, match="invalid tag format"):
        found.with_tag("-")
