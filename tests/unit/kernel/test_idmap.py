"""The maps of owners that change places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.kernel import idmap

IDS = st.integers(0, idmap.LAST_ID)


def seen(text: str, stored: int) -> int:
    extents = [tuple(map(int, line.split())) for line in text.splitlines()]
    (found,) = [out + stored - i for i, out, count in extents if i <= stored < i + count]
    return found


@given(IDS, IDS, IDS)
def test_two_change_places_and_all_others_stay(one: int, two: int, other: int) -> None:
    text = idmap.swapped(one, two)
    assert seen(text, one) == two
    assert seen(text, two) == one
    if other not in {one, two}:
        assert seen(text, other) == other


@pytest.mark.parametrize("same", [0, 1000])
def test_without_a_difference_nothing_is_mapped(same: int) -> None:
    assert idmap.swapped(same, same) == f"0 0 {idmap.LAST_ID + 1}\n"
