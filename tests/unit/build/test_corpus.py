"""Properties of the parser over all the Dockerfiles that the tests of the builder hold."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.build.frontends.dockerfile import parser
from moorage.build.frontends.dockerfile.parser import Dockerfile
from moorage.build.frontends.dockerfile.source import DockerfileError

_TESTS = Path(__file__).parents[2]
_LOOKS_LIKE_ONE = re.compile(r"\A(?:#.*\n|ARG .*\n)*FROM \S", re.IGNORECASE)

# One for each clause of the language, whether another test writes it or not.
_CLAUSES = (Path(__file__).parent / "clauses.txt").read_text().split("=====\n")


def _collected() -> list[str]:
    """Return every string of the builder's tests that begins as a Dockerfile does."""
    found = set(_CLAUSES)
    for path in [*_TESTS.glob("system/test_build_*.py"), *_TESTS.glob("unit/build/test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return sorted(text for text in found if _LOOKS_LIKE_ONE.match(text))


CORPUS = _collected()


def parse(text: str) -> Dockerfile | None:
    """Parse; a mistake must have a place in the file, and then there is nothing."""
    try:
        return parser.parse(text.encode())
    except DockerfileError as caught:
        error = caught
    assert 1 <= error.span.start <= error.span.end <= max(1, len(error.source.lines))
    return None


def shape(dockerfile: Dockerfile | None) -> str:
    """Return what the instructions say, without where they stand."""
    return repr(dockerfile.stages) if dockerfile else ""


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 100


@pytest.mark.parametrize("text", _CLAUSES)
def test_every_clause_is_read(text: str) -> None:
    assert parser.parse(text.encode()).stages


def test_instructions_stand_in_order_and_do_not_overlap() -> None:
    for text in CORPUS:
        read = parse(text)
        spans = [line.span for line in read.lexed.lines] if read else []
        assert all(a.end < b.start for a, b in itertools.pairwise(spans)), text


def test_line_ends_of_windows_and_a_mark_change_nothing() -> None:
    for text in CORPUS:
        windows = "\ufeff" + text.replace("\n", "\r\n")
        assert shape(parse(windows)) == shape(parse(text)), text


def test_comments_and_empty_lines_at_the_end_change_nothing() -> None:
    for text in CORPUS:
        if (read := parse(text)) is not None:
            assert shape(parse(text.rstrip("\n") + "\n\n# end\n\n")) == shape(read), text


@given(st.sampled_from(CORPUS), st.data())
def test_a_damaged_file_is_read_or_refused_with_a_place(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    put = data.draw(st.text(st.sampled_from("\\\n\t \"'$<>{}=-[],#:/\0é"), max_size=4))
    parse(text[:at] + put + text[at + length :])


@given(st.lists(st.sampled_from(CORPUS), min_size=2, max_size=3))
def test_files_one_after_another_have_the_stages_of_all(texts: list[str]) -> None:
    bodies = [re.sub(r"\A(?:#.*\n)+", "", text).rstrip("\n") + "\n" for text in texts]
    alone = [parse(body) for body in bodies]
    together = parse("".join(bodies))
    if together is not None and all(alone):
        names = [len(read.stages) for read in alone if read]
        assert len(together.stages) == sum(names)
