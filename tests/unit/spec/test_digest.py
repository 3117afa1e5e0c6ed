"""Digests come from outside and become paths: nothing but a digest may pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.spec import digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        ":" + "0" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63 + "\n",
        "sha256:../" + "0" * 61,
        "md5:" + "0" * 32,
        "../sha256:" + "0" * 64,
        "sha256:sha256:" + "0" * 57,
    ],
)
def test_i3_what_is_no_digest_is_refused(text: str) -> None:
    assert not digest.is_digest(text)
    with pytest.raises(InvalidParameter):
        digest.parse(text)


@given(st.text(max_size=80))
def test_whatever_passes_is_safe_as_a_path(text: str) -> None:
    if digest.is_digest(text):
        assert "/" not in text
        assert ".." not in text


def test_chain_ids_follow_the_specification() -> None:
    first, second = digest.of(b"1"), digest.of(b"2")
    chain = digest.chain_ids([first, second])
    assert chain == [first, digest.of(f"{first} {second}".encode())]
    assert digest.chain_ids([]) == []
