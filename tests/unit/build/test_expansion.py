from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.build.frontends.dockerfile.expansion import expand, expand_raw
from moorage.build.frontends.dockerfile.source import SyntaxFault

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
VALUES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12)


@given(st.text(max_size=60), st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_text_expands_or_is_refused(text: str, variables: dict[str, str]) -> None:
    try:
        found = expand(text, variables)
    except SyntaxFault:
        return
    assert found.unset <= found.used
    assert not found.unset & variables.keys()


@given(VALUES)
def test_quoted_for_a_shell_comes_out_as_it_went_in(value: str) -> None:
    assert expand(shlex.quote(value), {}).text == value
    assert expand(shlex.quote(value), {}).words == (value,)


@given(NAMES, VALUES)
def test_a_variable_in_double_quotes_is_one_word(name: str, value: str) -> None:
    assert expand(f'"${{{name}}}"', {name: value}).words == (value,)


@given(NAMES, VALUES)
def test_default_and_alternative_are_complements(name: str, value: str) -> None:
    variables = {name: value} if value else {}
    assert expand(f"${{{name}:-d}}", variables).text == (value or "d")
    assert expand(f"${{{name}:+a}}", variables).text == ("a" if value else "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$A", "abcabc"),
        ("${A}x$B", "abcabcx"),
        ("${A#a*c}", "abc"),
        ("${A##a*c}", ""),
        ("${A%a*c}", "abc"),
        ("${A%%a*c}", ""),
        ("${A%?}", "abcab"),
        ("${A/b/X}", "aXcabc"),
        ("${A//b/X}", "aXcaXc"),
        ("${A//b/}", "acac"),
        ("${A/b*/Y}", "aY"),
        ("${B:-x}", "x"),
        ("${B-x}", ""),
        ("${C-x}", "x"),
        ("${C:-${A}}", "abcabc"),
        ("${B+x}", "x"),
        ("${B:+x}", ""),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ('"\\$A \\x"', "$A \\x"),
        ("$", "$"),
        ("a$,b", "a$,b"),
        ("\\a", "a"),
        ("$1x", "x"),
        ("${A?no}", "abcabc"),
        ("${A#\\*}", "abcabc"),
    ],
)
def test_modifiers(text: str, wanted: str) -> None:
    assert expand(text, {"A": "abcabc", "B": ""}).text == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${A", "missing"),
        ("${}", "bad substitution"),
        ("${A:x}", "unsupported modifier"),
        ("'a", "single-quote"),
        ('"a', "double-quote"),
        ("${C:?is needed}", "C: is needed"),
        ("${C?}", "not allowed to be unset"),
        ("${A/b}", "missing"),
        ("${A" + ":-${B" * 80, "nested|missing"),
    ],
)
def test_bad_substitutions_are_named(text: str, message: str) -> None:
    with pytest.raises(SyntaxFault, match=message):
        expand(text, {"A": "1"})


def test_unquoted_values_split_into_words() -> None:
    assert expand('$A "$A" x', {"A": "1 2"}).words == ("1", "2", "1 2", "x")


def test_quotes_mean_nothing_in_a_heredoc() -> None:
    assert expand_raw("'$A' \"$A\" \\$A \\n", {"A": "1"}) == "'1' \"1\" $A \\n"


def test_escape_character_is_the_one_given() -> None:
    assert expand("C:\\x\\$A `$A", {"A": "1"}, escape="`").text == "C:\\x\\1 $A"
