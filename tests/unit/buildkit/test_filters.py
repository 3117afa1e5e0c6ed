"""Filters of the cache in BuildKit's clients' words."""

from __future__ import annotations

import pytest

from moorage.buildkit import filters
from moorage.lib.errors import InvalidParameter


@pytest.mark.parametrize(
    ("texts", "terms"),
    [
        ([], {}),
        ([""], {}),
        (["type==regular"], {"type": ["regular"]}),
        (["id~=abc,parents~=d"], {"id": ["abc"], "parent": ["d"]}),
        (["inuse", "shared==false"], {"inuse": ["true"], "shared": ["false"]}),
        (['description~="a b"'], {"description": ["a b"]}),
        (["until=5s"], {"until": ["5s"]}),
    ],
)
def test_terms(texts: list[str], terms: dict[str, list[str]]) -> None:
    assert filters.read(texts).terms == terms


@pytest.mark.parametrize("text", ["wobble==1", "type!=regular", "==", "a b", "mutable"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter"):
        filters.read([text])
