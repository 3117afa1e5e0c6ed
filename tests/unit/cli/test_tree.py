"""The command table agrees with the modules, and help can be drawn for all of it."""

from __future__ import annotations

import string

import pytest

from moorage.cli import help as help_pages
from moorage.cli import summaries, tree
from moorage.cli.globaloptions import GLOBAL_OPTIONS

COMMANDS = tree.commands()


@pytest.mark.parametrize("canonical", COMMANDS)
def test_a_command_is_declared_and_has_a_page(canonical: str) -> None:
    command = tree.load(canonical)
    page = help_pages.command_page(canonical, canonical, command)
    assert page.startswith(f"Usage:  moor {canonical}")
    assert summaries.COMMANDS[canonical] in page
    names = [option.name for option in command.options]
    shorts = [option.short for option in command.options if option.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
    for option in command.options:
        assert option.hidden or f"--{option.name}" in page
        assert option.help[:1] in string.ascii_uppercase + string.digits, option.name
        assert not option.help.endswith(".")
    assert all(len(line) <= 100 for line in page.splitlines() if not line.startswith("  moor"))


@pytest.mark.parametrize("alias", sorted(tree.aliases()))
def test_an_alias_leads_to_a_command(alias: str) -> None:
    canonical = tree.aliases()[alias]
    assert tree.is_command(canonical)
    assert tree.find([*alias.split(), "x"]) == (alias, canonical, ["x"])


def test_every_command_and_group_has_a_summary_and_nothing_else_has() -> None:
    assert sorted(summaries.COMMANDS) == COMMANDS
    assert sorted(summaries.GROUPS) == sorted(tree.GROUPS)
    assert set(summaries.COMMON) <= {*COMMANDS, *tree.aliases()}


@pytest.mark.parametrize(
    ("canonical", "names"),
    [
        ("container ls", ["container ls", "container list", "container ps", "ps"]),
        ("image build", ["image build", "build", "builder build"]),
        ("manifest rm", ["manifest rm"]),
    ],
)
def test_names_of_a_command_are_in_the_order_of_docker(canonical: str, names: list[str]) -> None:
    assert tree.names_of(canonical) == names


def test_groups_have_pages_with_all_their_commands() -> None:
    for group, summary in summaries.GROUPS.items():
        page = help_pages.group_page(group)
        assert summary in page
        verbs = [path.split()[1] for path in COMMANDS if path.startswith(f"{group} ")]
        assert all(f"  {verb} " in page for verb in verbs if f"{group} {verb}" not in tree.HIDDEN)


def test_the_first_page_names_every_top_level_command() -> None:
    page = help_pages.top_page(GLOBAL_OPTIONS, {})
    for name in [
        *tree.GROUPS,
        *(path for path in [*COMMANDS, *tree.aliases()] if " " not in path),
    ]:
        assert f"\n  {name} " in page


@pytest.mark.parametrize(
    ("typed", "parent", "meant"),
    [("psx", "", "ps"), ("imges", "", "images"), ("container lss", "container", "container ls")],
)
def test_a_mistyped_command_finds_its_neighbour(typed: str, parent: str, meant: str) -> None:
    assert meant in summaries.nearest(typed, parent)


def test_help_wraps_between_words_and_keeps_the_columns() -> None:
    lines = help_pages.flag_lines(GLOBAL_OPTIONS).splitlines()
    assert all(len(line) <= 80 for line in lines)
    column = lines[0].index("Where")
    assert all(line[column - 1] == " " for line in lines)
