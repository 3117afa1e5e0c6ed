"""What crun says of a program that the kernel refuses, in runc's words."""

from __future__ import annotations

import pytest

from moor_shim import lastwords

LOGGED = (
    b'{"msg":"exec container process%s `/c/x`: %s","level":"error",'
    b'"time":"2026-11-26T16:09:18.416686Z"}'
)


@pytest.mark.parametrize(
    ("first", "program", "said"),
    [
        (LOGGED % (b"", b"Exec format error"), "", b"exec /c/x: exec format error"),
        (
            LOGGED % (b" (missing dynamic library?)", b"No such file or directory") + b"\n",
            "",
            b"exec /c/x: no such file or directory\n",
        ),
        (
            b"\x1b[1;31m" + LOGGED % (b"", b"Exec format error") + b"\x1b[0m\r\n",
            "",
            b"exec /c/x: exec format error\r\n",
        ),
        (b"exec: Exec format error\n", "/c/x", b"exec /c/x: exec format error\n"),
    ],
)
def test_a_refusal_is_told_as_runc_tells_it(first: bytes, program: str, said: bytes) -> None:
    assert lastwords.translate(first, program) == said


@pytest.mark.parametrize(
    ("first", "program"),
    [
        (b"", ""),
        (b"hello\n", ""),
        (b"hello\n", "sh"),
        (b"\x1b[1;31mred\x1b[0m\r\n", ""),
        (b'{"msg":"exec container process `/c/x`: Exec format error"}\n', ""),
        (LOGGED % (b"", b"something else"), ""),
        (LOGGED % (b"", b"Exec format error"), "sh"),
        (b"exec: Exec format error\n", ""),
        (b"exec: Exec format error\nand more\n", "sh"),
    ],
)
def test_what_others_say_is_left_alone(first: bytes, program: str) -> None:
    assert lastwords.translate(first, program) == first
