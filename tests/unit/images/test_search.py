"""Search: what cannot be asked for is refused before any registry is."""

import asyncio

import pytest

from moorage.images import search
from moorage.lib.errors import InvalidParameter
from moorage.registry.registries import Registries
from moorage.registry.settings import RegistrySettings
from moorage.spec.engine.filters import Filters


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"stars": ["x"]}, "invalid filter 'stars=x'"),
        ({"is-official": ["maybe"]}, r"invalid filter 'is-official=\[maybe\]'"),
        ({"bogus": ["1"]}, "invalid filter 'bogus'"),
    ],
)
def test_a_wrong_filter_is_refused_first(terms: dict[str, list[str]], sentence: str) -> None:
    registries = Registries(RegistrySettings, user_agent="test")
    work = search.search(registries, "127.0.0.1:1/app", limit=0, filters=Filters(terms))
    with pytest.raises(InvalidParameter, match=sentence):
        asyncio.run(work)
