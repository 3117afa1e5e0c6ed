"""Names that a client says it has: a boundary, so everything hostile is here."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.buildkit.session import gomode
from moorage.buildkit.session.tree import Tree
from moorage.buildkit.wire.session import Stat
from moorage.lib.errors import InvalidParameter

FILE = gomode.from_kernel(stat.S_IFREG | 0o644)
DIRECTORY = gomode.from_kernel(stat.S_IFDIR | 0o755)
LINK = gomode.from_kernel(stat.S_IFLNK | 0o777)
PIPE = gomode.from_kernel(stat.S_IFIFO | 0o644)


def tree(*told: Stat) -> Tree:
    made = Tree()
    for one in told:
        made.add(one)
    return made


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", ".", "..", "../x", "a/../../x", "a/..", "a/.", "./a"),
        *("a//b", "a/", "//a", "a\0b", "x" * 256, "/".join(["y" * 200] * 21)),
    ],
)
def test_a_name_that_leaves_the_root_or_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(InvalidParameter, match="illegal name"):
        tree(Stat(path="a", mode=DIRECTORY), Stat(path=path, mode=FILE))


def test_a_name_below_a_link_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="outside of any directory"):
        tree(Stat(path="a", mode=LINK, link="/etc"), Stat(path="a/passwd", mode=FILE))


@pytest.mark.parametrize("kind", [FILE, PIPE])
def test_a_name_below_what_is_no_directory_is_refused(kind: int) -> None:
    with pytest.raises(InvalidParameter, match="outside of any directory"):
        tree(Stat(path="a", mode=kind), Stat(path="a/b", mode=FILE))


def test_a_name_whose_directory_was_not_named_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="outside of any directory"):
        tree(Stat(path="a/b", mode=FILE))


@pytest.mark.parametrize("second", [FILE, LINK, DIRECTORY])
def test_a_name_given_twice_is_refused(second: int) -> None:
    with pytest.raises(InvalidParameter, match="twice"):
        tree(Stat(path="a", mode=DIRECTORY), Stat(path="a", mode=second, link="/etc"))


@pytest.mark.parametrize("first", ["b", "/etc/passwd", "../x", "l", "d", ""])
def test_a_hard_link_to_what_is_no_file_before_it_is_refused(first: str) -> None:
    made = tree(Stat(path="d", mode=DIRECTORY), Stat(path="l", mode=LINK, link="/etc/passwd"))
    if not first:
        made.add(Stat(path="a", mode=FILE, link=first))  # without a target it is a file
        assert made.hard_links == {}
        return
    with pytest.raises(InvalidParameter, match="no file of it"):
        made.add(Stat(path="a", mode=FILE, link=first))


def test_a_hard_link_to_a_file_before_it_is_one() -> None:
    made = tree(Stat(path="a", mode=FILE, size=3), Stat(path="b", mode=FILE, size=3, link="a"))
    assert made.hard_links == {"b": "a"}
    with pytest.raises(InvalidParameter):
        made.add(Stat(path="c", mode=FILE, link="b"))


@pytest.mark.parametrize("link", ["", "a\0b"])
def test_a_link_without_a_target_is_refused(link: str) -> None:
    with pytest.raises(InvalidParameter, match="without a target"):
        tree(Stat(path="a", mode=LINK, link=link))


def test_a_file_of_negative_size_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="negative"):
        tree(Stat(path="a", mode=FILE, size=-1))


def test_what_a_context_cannot_hold_is_left_out_and_counted() -> None:
    made = tree(Stat(path="p", mode=PIPE), Stat(path="q", mode=FILE, size=1))
    assert [fact.path for fact in made.facts] == ["q"]
    assert made.numbers == {"q": 1}


NAMES = st.text(st.sampled_from("ab./\0"), max_size=6)
STATS = st.builds(
    Stat,
    path=NAMES,
    mode=st.sampled_from([FILE, DIRECTORY, LINK, PIPE, 1 << 19, 0xFFFFFFFF]),
    size=st.integers(-1, 3),
    link=NAMES,
)


@given(st.lists(STATS, max_size=12))
def test_what_is_taken_on_is_a_tree_of_plain_names(told: list[Stat]) -> None:
    made = Tree()
    for one in told:
        try:
            made.add(one)
        except InvalidParameter:
            continue
    kinds = {fact.path: stat.S_IFMT(fact.mode) for fact in made.facts}
    assert len(kinds) == len(made.facts)
    for path in kinds:
        parts = path.split("/")
        assert all(part not in {"", ".", ".."} and "\0" not in part for part in parts)
        for count in range(1, len(parts)):
            assert kinds["/".join(parts[:count])] == stat.S_IFDIR


@given(st.sampled_from([FILE, DIRECTORY, LINK, PIPE]), st.integers(0, 0o7777))
def test_modes_survive_the_way_through_go(kind: int, bits: int) -> None:
    mode = stat.S_IFMT(gomode.to_kernel(kind) or 0) | bits
    assert gomode.to_kernel(gomode.from_kernel(mode)) == mode


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (0o644, 0o100644),
        (0x80000000 | 0o755, 0o040755),
        (0x08000000 | 0o777, 0o120777),
        (0x00800000 | 0o755, 0o104755),
        (0x80000000 | 0x00100000 | 0o777, 0o041777),
        (0x04000000 | 0x00200000 | 0o620, 0o020620),
        (0x00080000 | 0o644, None),  # "irregular"
    ],
)
def test_modes_of_go(theirs: int, ours: int | None) -> None:
    assert gomode.to_kernel(theirs) == ours
