"""The maps of owners that change places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.kernel import idmap
from moorage.lib.errors import InvalidParameter

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


def test_a_map_goes_both_ways() -> None:
    found = idmap.parse("0 100000 1000\n1000 300000 5\n", "         0     200000      65536\n")
    assert found.root == (100_000, 200_000)
    assert found.owner(1004, 7) == (300_004, 200_007)
    assert found.seen(300_004, 200_007) == (1004, 7)
    assert found.seen(0, 0) == (idmap.OVERFLOW_ID, idmap.OVERFLOW_ID)
    assert idmap.parse(*found.texts()) == found


@pytest.mark.parametrize("number", [1005, 70_000])
def test_an_id_outside_of_the_map_has_no_owner(number: int) -> None:
    found = idmap.parse("0 100000 1000\n1000 300000 5\n", "0 200000 65536\n")
    with pytest.raises(InvalidParameter, match=f"User ID {number} cannot be mapped"):
        found.owner(number, 0)
