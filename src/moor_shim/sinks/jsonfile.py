r"""The ``json-file`` driver: one JSON object a line, as Docker writes it.

``{"log":"hello\n","stream":"stdout","attrs":{…},"time":"2030-01-02T03:04:05.678901234Z"}``; a part
of a long line has no newline in ``log``. Lines of one read share its time stamp, which allows the
whole batch to be escaped at once: a flood costs about as much as copying it.
"""

from __future__ import annotations

import time

from moor_shim import protocol
from moor_shim.bare import encode_basestring
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks.lines import LineCutter, parts
from moor_shim.sinks.rotation import RotatingFile, from_options

_quote = encode_basestring
_NAMES = {protocol.STDOUT: "stdout", protocol.STDERR: "stderr"}


class JsonFile:
    """Writer of one container's log."""

    def __init__(self, file: RotatingFile, attributes: dict[str, str]) -> None:
        self._file = file
        self._lines = LineCutter()
        attrs = ""
        if attributes:
            pairs = (f"{_quote(name)}:{_quote(value)}" for name, value in attributes.items())
            attrs = f',"attrs":{{{",".join(pairs)}}}'
        self._middles = {n: f',"stream":"{name}"{attrs},"time":"' for n, name in _NAMES.items()}

    def output(self, stream: int, chunk: bytes) -> None:
        """Write the lines that *chunk* completes."""
        lines, short = self._lines.feed(stream, chunk)
        end = f'{self._middles[stream]}{rfc3339(time.time_ns())}"}}\n'
        if short:
            if lines:
                self._write(_encode_short(lines, end))
        else:
            self._write("".join(_encode_long(line, end) for line in lines))
        overflow = self._lines.overflow(stream)
        if overflow:
            self._write("".join(_record(part.payload, "", end) for part in overflow))

    def full(self) -> bool:
        """Return False: a log does not stop the process."""
        return False

    def is_idle(self) -> bool:
        """Whether no line is unfinished."""
        return self._lines.is_idle()

    def close(self) -> None:
        """Write unfinished lines, and close."""
        for stream in _NAMES:
            rest = self._lines.rest(stream)
            if rest:
                end = f'{self._middles[stream]}{rfc3339(time.time_ns())}"}}\n'
                self._write(_record(rest, "", end))
        self._file.close()

    def _write(self, text: str) -> None:
        batch = text.encode()
        self._file.write(batch, lambda: batch.splitlines(keepends=True))


def _encode_short(lines: list[bytes], end: str) -> str:
    text = b"\n".join(lines).decode("utf-8", "replace")
    if "\\" in text:  # then an escaped newline cannot be told from what was written
        return "".join(_record(line, "\\n", end) for line in lines)
    return '{"log":' + _quote(text).replace("\\n", f'\\n"{end}{{"log":"')[:-1] + f'\\n"{end}'


def _encode_long(line: bytes, end: str) -> str:
    return "".join(
        _record(part.payload, "" if part.partial else "\\n", end) for part in parts(line)
    )


def _record(payload: bytes, newline: str, end: str) -> str:
    return '{"log":' + _quote(payload.decode("utf-8", "replace"))[:-1] + f'{newline}"{end}'


def rfc3339(ns: int) -> str:
    """Return *ns* as Docker writes log times: UTC with nanoseconds, trailing zeros dropped."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def make(log: protocol.Message, _loop: Loop, children: Children) -> JsonFile:
    """Open the log; without ``max-size`` it grows without end, as Docker's."""
    file = from_options(log["path"], log["options"], children, defaults=("-1", "1", "false"))
    return JsonFile(file, log["attributes"])
