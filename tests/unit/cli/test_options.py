"""The grammar of flags."""

from __future__ import annotations

import re

import pytest

from moorage.cli import kinds
from moorage.cli.options import Command, HelpWanted, Option, UsageError, parse

OPTIONS = (
    Option("all", "a", "bool", "All"),
    Option("env", "e", "list", "Env"),
    Option("filter", "f", "filter", "Filter"),
    Option("interactive", "i", "bool", "Stdin"),
    Option("last", "n", "int", "Last", -1),
    Option("memory", "m", "bytes", "Memory"),
    Option("name", "", "string", "Name"),
    Option("opt", "o", "map", "Options"),
    Option("sig-proxy", "", "bool", "Proxy", True),  # noqa: FBT003
    Option("tag", "", "strings", "Tags"),
    Option("tty", "t", "bool", "Tty"),
)


def test_all_spellings_of_a_flag() -> None:
    values, arguments = parse(
        OPTIONS,
        ["-it", "--name=web", "-n", "3", "-eA=1", "-e=B=2", "--env", "C", "-m", "1g", "x", "-a"],
        interspersed=True,
    )
    assert (values.flag("tty"), values.flag("interactive"), values.flag("all")) == (True,) * 3
    assert values.text("name") == "web"
    assert values.number("last") == 3
    assert values.many("env") == ["A=1", "B=2", "C"]
    assert values.number("memory") == 1 << 30
    assert arguments == ["x"]


def test_a_command_that_runs_a_program_leaves_its_flags_alone() -> None:
    values, arguments = parse(OPTIONS, ["-t", "image", "ls", "-a"], interspersed=False)
    assert values.flag("tty")
    assert not values.flag("all")
    assert arguments == ["image", "ls", "-a"]


def test_two_dashes_end_the_flags_and_one_is_an_argument() -> None:
    _, arguments = parse(OPTIONS, ["-", "--", "-a", "--"], interspersed=True)
    assert arguments == ["-", "-a", "--"]


def test_defaults_and_booleans_switched_off() -> None:
    values, _ = parse(OPTIONS, ["--sig-proxy=false"], interspersed=True)
    assert not values.flag("sig-proxy")
    values, _ = parse(OPTIONS, [], interspersed=True)
    assert values.flag("sig-proxy")
    assert values.number("last") == -1
    assert not values.changed("last")
    assert values.optional_number("last") is None


def test_collecting_kinds() -> None:
    values, _ = parse(
        OPTIONS, ["-o", "a=b=c", "-o", "d", "--tag", 'x,"y,z"', "--tag", "w"], interspersed=True
    )
    assert values.pairs("opt") == {"a": "b=c", "d": ""}
    assert values.many("tag") == ["x", "y,z", "w"]


def test_filters_become_the_apis_json() -> None:
    values, _ = parse(
        OPTIONS, ["-f", "status=up", "-f", "Label=a=b", "-f", "status=x"], interspersed=True
    )
    assert values.filters() == '{"label":{"a=b":true},"status":{"up":true,"x":true}}'
    values, _ = parse(OPTIONS, [], interspersed=True)
    assert values.filters() is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-ax"], "unknown shorthand flag: 'x' in -x"),
        (["-n"], "flag needs an argument: 'n' in -n"),
        (["--name"], "flag needs an argument: --name"),
    ],
)
def test_a_malformed_command_line_is_refused_in_pflags_words(
    words: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        parse(OPTIONS, words, interspersed=True)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("flag", "text", "label", "reason"),
    [
        ("-n", "x", "-n, --last", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "-n",
            "9" * 20,
            "-n, --last",
            'strconv.ParseInt: parsing "99999999999999999999": value out of range',
        ),
        ("-m", "3x", "-m, --memory", "invalid suffix: 'x'"),
        ("-m", "x", "-m, --memory", "invalid size: 'x'"),
        ("-f", "foo", "-f, --filter", "bad format of filter (expected name=value)"),
    ],
)
def test_a_malformed_value_is_refused_in_gos_words(
    flag: str, text: str, label: str, reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        parse(OPTIONS, [flag, text], interspersed=True)
    assert str(refused.value) == f'invalid argument "{text}" for "{label}" flag: {reason}'


def test_a_malformed_boolean_is_refused() -> None:
    with pytest.raises(UsageError, match=r'"-a, --all" flag: strconv.ParseBool: parsing "x"'):
        parse(OPTIONS, ["--all=x"], interspersed=True)


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_asked_for_by_either_flag(word: str) -> None:
    with pytest.raises(HelpWanted):
        parse(OPTIONS, [word], interspersed=True)


@pytest.mark.parametrize(
    ("text", "value"), [("10", 10), ("0x1F", 31), ("010", 8), ("-5", -5), ("+7", 7), ("0b11", 3)]
)
def test_integers_as_go_reads_them(text: str, value: int) -> None:
    assert kinds.convert("int", text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1_500_000_000), ("0.000000001", 1), ("2", 2_000_000_000)]
)
def test_cpus_are_exact(text: str, value: int) -> None:
    assert kinds.convert("decimal", text) == value


def test_cpus_that_cannot_be_exact_are_refused() -> None:
    with pytest.raises(ValueError, match="value is too precise"):
        kinds.convert("decimal", "0.0000000001")


@pytest.mark.parametrize(
    ("least", "most", "count", "wrong"),
    [
        (0, 0, 1, "accepts no arguments"),
        (1, 1, 0, "requires 1 argument"),
        (2, 2, 1, "requires 2 arguments"),
        (1, None, 0, "requires at least 1 argument"),
        (0, 1, 2, "requires at most 1 argument"),
        (1, 2, 3, "requires at least 1 and at most 2 arguments"),
        (1, 2, 2, ""),
        (1, None, 9, ""),
    ],
)
def test_the_number_of_arguments(least: int, most: int | None, count: int, wrong: str) -> None:
    assert Command(lambda *_: None, least=least, most=most).check_count(count) == wrong


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ('a"b', 2, 'bare " in non-quoted-field'),
        ('é"b', 3, 'bare " in non-quoted-field'),
        ('"a",b"', 6, 'bare " in non-quoted-field'),
        ('"a', 3, 'extraneous or missing " in quoted-field'),
        ('"a"b', 3, 'extraneous or missing " in quoted-field'),
        ('x,"a"b', 5, 'extraneous or missing " in quoted-field'),
        ('"a""', 5, 'extraneous or missing " in quoted-field'),
    ],
)
def test_a_malformed_csv_field_is_refused_where_it_breaks(
    text: str, column: int, reason: str
) -> None:
    said = re.escape(f"parse error on line 1, column {column}: {reason}")
    with pytest.raises(ValueError, match=f"^{said}$"):
        kinds.split_csv(text)


def test_a_refused_value_is_quoted_as_go_quotes() -> None:
    with pytest.raises(UsageError) as refused:
        parse(OPTIONS, ["-m", 'a"\t\\'], interspersed=True)
    assert str(refused.value).startswith(r'invalid argument "a\"\t\\" for "-m, --memory" flag')
