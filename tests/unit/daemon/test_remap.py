"""``userns-remap``: users, groups and their ranges."""

from __future__ import annotations

import pytest

from moorage.daemon import remap
from moorage.daemon.remap import Named
from moorage.kernel.idmap import Extent
from moorage.lib.errors import InvalidParameter

SUBUID = """\
# comment
web:100000:1000
other:101000:65536
web:300000:65536  # a second range
"""


def test_ranges_follow_one_another_inside() -> None:
    found = remap.ranges(Named("web", "other"), SUBUID, SUBUID)
    assert found.uids == (Extent(0, 100_000, 1000), Extent(1000, 300_000, 65_536))
    assert found.gids == (Extent(0, 101_000, 65_536),)
    assert found.root == (100_000, 101_000)


@pytest.mark.parametrize(
    ("subuid", "subgid", "sentence"),
    [
        ("", SUBUID, 'no subuid ranges found for user "web"'),
        (SUBUID, "x:1:2", 'no subgid ranges found for group "other"'),
        ("web:1", SUBUID, "format not correct: web:1"),
        ("web:a:b", SUBUID, "format not correct"),
    ],
)
def test_missing_and_broken_ranges(subuid: str, subgid: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        remap.ranges(Named("web", "other"), subuid, subgid)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a:b:c", 'Invalid user/group specification in --userns-remap: "a:b:c"'),
        ("no-such-user", 'Error during uid lookup for "no-such-user"'),
        ("4000000000", 'Error during uid lookup for "4000000000"'),
        ("root:no-such-group", 'Error during groupname lookup for "no-such-group"'),
        (":", 'Error during uid lookup for ""'),
    ],
)
def test_names_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        remap.names(text)


@pytest.mark.parametrize("text", ["root", "0", "root:root", "0:0", "root:0"])
def test_names_and_numbers_mean_the_same(text: str) -> None:
    assert remap.names(text) == Named("root", "root")


async def test_root_is_mapped_to_nobody_else() -> None:
    assert await remap.resolve("root") is None
    assert await remap.resolve("") is None


def test_the_first_free_id_is_above_all_ranges() -> None:
    assert remap.free("") == 100_000
    assert remap.free(SUBUID) == 365_536
