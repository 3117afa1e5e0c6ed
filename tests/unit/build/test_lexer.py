from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.build.frontends.dockerfile import lexer
from moorage.build.frontends.dockerfile.source import DockerfileError, Span


def lex(text: str) -> lexer.Lexed:
    return lexer.lex(text.encode())


@given(st.binary(max_size=300))
def test_any_bytes_give_lines_or_an_error_with_a_place(data: bytes) -> None:
    try:
        found = lexer.lex(data)
    except DockerfileError as caught:
        error = caught
    else:
        for line in found.lines:
            assert 1 <= line.span.start <= line.span.end <= len(found.source.lines)
        return
    assert 1 <= error.span.start <= max(1, len(error.source.lines))
    assert "Dockerfile:" in str(error)


@given(st.lists(st.sampled_from(["a", "b\\", "# c", "", "  d ", "e \\  "]), max_size=12))
def test_lines_of_instructions_never_overlap_and_go_forward(lines: list[str]) -> None:
    found = lex("\n".join(f"RUN {line}" if line[:1].isalpha() else line for line in lines))
    spans = [line.span for line in found.lines]
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))


def test_continuation_joins_and_skips_comments_inside() -> None:
    found = lex("RUN a && \\\n  # why\n\n  b\nCMD c\n")
    assert [line.text for line in found.lines] == ["a &&   b", "c"]
    assert found.lines[0].span == Span(1, 4)
    assert [span.start for span in found.empty_continuations] == [3]


def test_doubled_escape_at_the_end_is_no_continuation() -> None:
    assert [line.text for line in lex("RUN a\\\\\nRUN b\n").lines] == ["a\\\\", "b"]


def test_escape_directive_changes_the_continuation() -> None:
    found = lex("# escape=`\nRUN a `\n b \\\nRUN c\n")
    assert found.escape == "`"
    assert [line.text for line in found.lines] == ["a  b \\", "c"]


def test_directives_end_at_the_first_other_line() -> None:
    found = lex("# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a\n# escape=`\n")
    assert set(found.directives) == {"syntax", "check"}
    assert found.escape == "\\"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# escape=x\nFROM a", "invalid escape token"),
        ("# escape=\\\n# escape=\\\nFROM a", "only one escape parser directive"),
        ("FROM a\nRUN <<EOF\nx", "unterminated heredoc"),
        ("FROM a\0b", "NUL byte"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message):
        lex(text)


def test_heredocs_end_at_their_own_names_in_order() -> None:
    line = lex("COPY <<A <<-'B' /d/\n$x\nA\n\tb\n\tB\nRUN c\n").lines[0]
    assert [(doc.name, doc.content, doc.expand) for doc in line.heredocs] == [
        ("A", "$x\n", True),
        ("B", "b\n", False),
    ]


def test_shift_operator_is_no_heredoc() -> None:
    assert lex("RUN echo $((1<<2)) << x\n").lines[0].heredocs == ()


def test_flags_are_cut_off_with_their_quotes() -> None:
    line = lex('RUN --mount=type=bind,source="a b",target=/x --network=none echo --y\n').lines[0]
    assert line.flags == ("--mount=type=bind,source=a b,target=/x", "--network=none")
    assert line.text == "echo --y"


def test_byte_order_mark_and_crlf_do_not_show() -> None:
    found = lexer.lex(b"\xef\xbb\xbfFROM a\r\nRUN b \\\r\n c\r\n")
    assert [line.text for line in found.lines] == ["a", "b  c"]


def test_frame_marks_the_lines_it_is_about() -> None:
    source = lex("A\nB\nC\nD\n").source
    assert source.frame(Span(2, 3), context=1).splitlines()[2:-1] == [
        "   1 |     A",
        "   2 | >>> B",
        "   3 | >>> C",
        "   4 |     D",
    ]
