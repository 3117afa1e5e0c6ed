"""What monitors write is what readers show."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moor_shim import lean, protocol, sinks
from moor_shim.children import Children
from moor_shim.loop import Loop
from moor_shim.sinks import nonblocking, rotation
from moor_shim.sinks.fluentd import Fluentd
from moor_shim.sinks.gelf import Gelf, chunks
from moor_shim.sinks.journald import Journal
from moor_shim.sinks.lines import MAX_LINE, Line, LineCutter, parts
from moor_shim.sinks.syslog import Syslog
from moorage.logs.codec import Codec
from moorage.logs.jsonfile import JsonFile
from moorage.logs.local import Local

CODECS: dict[str, Codec[Any]] = {"json-file": JsonFile(), "local": Local()}
NO_LOOP = cast("Loop", None)
NO_CHILDREN = cast("Children", None)

chunk_lists = st.lists(
    st.tuples(
        st.sampled_from([protocol.STDOUT, protocol.STDERR]),
        st.one_of(
            st.binary(max_size=60), st.sampled_from([b"\n", b"\\n\n", b'a"b\\c\n\n', b"\r\n"])
        ),
    ),
    max_size=20,
)


def order(driver: str, path: Path, **options: str) -> protocol.Message:
    return {
        "driver": driver,
        "path": str(path),
        "options": options,
        "attributes": {},
        "tags": {"id": "a" * 64, "name": "web"},
    }


def write(driver: str, path: Path, chunks_: Sequence[tuple[int, bytes]], **options: str) -> None:
    path.unlink(missing_ok=True)
    sink = sinks.make(order(driver, path, **options), NO_LOOP, NO_CHILDREN)
    assert sink is not None
    for stream, chunk in chunks_:
        sink.output(stream, chunk)
    sink.close()


@pytest.mark.parametrize("driver", ["json-file", "local"])
@given(chunks_=chunk_lists)
@settings(deadline=None, max_examples=60)
def test_every_byte_comes_back_in_order(
    driver: str, chunks_: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    write(driver, path, chunks_)
    entries = CODECS[driver].decode(path.read_bytes())
    for number, name in ((protocol.STDOUT, "stdout"), (protocol.STDERR, "stderr")):
        written = b"".join(chunk for stream, chunk in chunks_ if stream == number)
        shown = b"".join(entry.text for entry in entries if entry.stream == name)
        if driver == "json-file":
            written = written.decode("utf-8", "replace").encode()
        elif written and not written.endswith(b"\n"):
            written += b"\n"  # the local format has no last line without an end
        assert shown == written


def test_json_record_is_as_docker_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write("json-file", path, [(1, b"hello\n")])
    record = json.loads(path.read_text())
    assert list(record) == ["log", "stream", "time"]
    assert record["log"] == "hello\n"
    assert record["time"].startswith(time.strftime("%Y-", time.gmtime()))


def test_long_line_comes_in_parts_that_join(tmp_path: Path) -> None:
    line = "é".encode() * MAX_LINE
    write("json-file", tmp_path / "log", [(1, line[:20000]), (1, line[20000:] + b"\nend\n")])
    records = [json.loads(text)["log"] for text in (tmp_path / "log").read_text().splitlines()]
    assert "".join(records) == line.decode() + "\nend\n"
    assert all(len(record.encode()) <= MAX_LINE + 1 for record in records)
    assert "\ufffd" not in "".join(records)


def test_local_parts_of_a_line_carry_one_id(tmp_path: Path) -> None:
    write("local", tmp_path / "log", [(1, b"x" * 40000 + b"\n")])
    entries = Local().decode((tmp_path / "log").read_bytes())
    assert [entry.more for entry in entries] == [True, True, False]
    assert b"".join(entry.text for entry in entries) == b"x" * 40000 + b"\n"


def test_cutter_holds_an_unfinished_line() -> None:
    cutter = LineCutter()
    assert cutter.feed(1, b"ab") == ([], True)
    assert cutter.feed(2, b"other\n") == ([b"other"], True)
    assert cutter.feed(1, b"c\nd") == ([b"abc"], True)
    assert cutter.rest(1) == b"d"
    assert cutter.rest(1) == b""


def test_parts_never_cut_a_character() -> None:
    line = b"a" + "€".encode() * 10000
    pieces = parts(line)
    assert b"".join(piece.payload for piece in pieces) == line
    for piece in pieces:
        piece.payload.decode()


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("1k", 1024), ("20m", 20 << 20), ("1.5g", 3 << 29), ("-1", -1)]
)
def test_size_of_a_log(text: str, size: int) -> None:
    assert rotation.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "10x", "-5"])
def test_bad_size_of_a_log(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        rotation.parse_size(text)


def test_rotation_keeps_max_file_generations(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [(1, f"line {n}\n".encode()) for n in range(200)]
    options = {"max-size": "1k", "max-file": "3", "compress": "false"}
    write("json-file", path, lines, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(p.stat().st_size <= 1024 for p in tmp_path.iterdir())
    kept = (tmp_path / "log.2").read_text() + (tmp_path / "log.1").read_text() + path.read_text()
    numbers = [int(json.loads(text)["log"].split()[1]) for text in kept.splitlines()]
    assert numbers == list(range(numbers[0], 200))


def test_generations_are_dated_in_their_order_though_the_clock_is_set_back(tmp_path: Path) -> None:
    """A reader that lags tells by the time which files it has seen."""
    path = tmp_path / "log"
    file = rotation.RotatingFile(
        str(path), max_size=8, max_files=4, compress=False, children=NO_CHILDREN
    )
    for year in range(4):
        file.write(b"%07d\n" % year, lambda: [b"%07d\n" % year])  # noqa: B023
        past = 1_700_000_000 - year * 365 * 86400
        os.utime(path, (past, past))
    file.close()
    assert (tmp_path / "log.3").read_text() == "0000000\n"
    times = [(tmp_path / f"log.{n}").stat().st_mtime_ns for n in (3, 2, 1)]
    assert times == sorted(set(times))


def test_one_file_only_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    options = {"max-size": "1k", "max-file": "1"}
    write("json-file", path, [(1, f"line {n}\n".encode()) for n in range(200)], **options)
    assert [p.name for p in tmp_path.iterdir()] == ["log"]
    assert path.read_text().splitlines()[-1].startswith('{"log":"line 199')


def test_compressed_file_keeps_the_time_of_its_last_write(tmp_path: Path) -> None:
    path = tmp_path / "log.1"
    path.write_bytes(b"content\n")
    written = path.stat().st_mtime_ns
    rotation.compress_file(str(path))
    compressed = tmp_path / "log.1.gz"
    assert gzip.decompress(compressed.read_bytes()) == b"content\n"
    assert compressed.stat().st_mtime_ns == written
    assert not path.exists()


def test_full_disk_leaves_no_torn_record() -> None:
    file = rotation.RotatingFile(
        "/dev/full", max_size=-1, max_files=1, compress=False, children=NO_CHILDREN
    )
    file.write(b"lost\n", lambda: [b"lost\n"])
    file.close()


def test_unknown_driver_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown log driver"):
        sinks.make(order("nope", tmp_path / "log"), NO_LOOP, NO_CHILDREN)
    assert sinks.make(order("none", tmp_path / "log"), NO_LOOP, NO_CHILDREN) is None


NOON = 1_893_499_445_123_456_789  # 2030-01-01T12:04:05.123456789Z


def test_syslog_5424_message(tmp_path: Path) -> None:
    log = order("syslog", tmp_path, **{"syslog-format": "rfc5424", "syslog-facility": "local3"})
    log["tags"]["hostname"] = "box"
    (message,) = Syslog(log, local=False).encode(2, Line(b"bad", partial=False), NOON)
    assert message.startswith(b"<155>1 2030-01-01T12:04:05Z box aaaaaaaaaaaa ")
    assert message.endswith(b" - bad\n")


@pytest.mark.parametrize("options", [{"syslog-format": "x"}, {"syslog-facility": "x"}])
def test_bad_syslog_options(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="nvalid syslog"):
        Syslog(order("syslog", tmp_path, **options), local=True)


def test_journal_fields(tmp_path: Path) -> None:
    log = order("journald", tmp_path)
    log["attributes"] = {"com.example-x": "two\nlines"}
    (datagram,) = Journal(log).encode(1, Line(b"hello", partial=True), NOON)
    assert datagram.startswith(b"MESSAGE=hello\nPRIORITY=6\n")
    assert b"CONTAINER_PARTIAL_MESSAGE=true\n" in datagram
    assert b"CONTAINER_NAME=web\n" in datagram
    assert b"COM_EXAMPLE_X\n\x09\0\0\0\0\0\0\0two\nlines\n" in datagram


def test_gelf_over_tcp_ends_with_zero(tmp_path: Path) -> None:
    log = order("gelf", tmp_path)
    (message,) = Gelf(log, datagram=False).encode(2, Line(b"hi", partial=False), NOON)
    content = json.loads(message[:-1])
    assert message[-1:] == b"\0"
    assert (content["short_message"], content["level"], content["_tag"]) == ("hi", 3, "a" * 12)


def test_gelf_chunks_join() -> None:
    message = bytes(range(256)) * 20
    datagrams = chunks(message)
    assert b"".join(d[12:] for d in datagrams) == message
    assert [d[10:12] for d in datagrams] == [bytes((n, len(datagrams))) for n in range(4)]
    assert chunks(b"x" * 1_000_000) == []


def test_fluentd_event(tmp_path: Path) -> None:
    log = order("fluentd", tmp_path)
    (event,) = Fluentd(log).encode(1, Line(b"hi", partial=False), NOON)
    assert event.startswith(b"\x93\xacaaaaaaaaaaaa\xce" + (NOON // 10**9).to_bytes(4, "big"))
    assert event.endswith(b"\xa3log\xa2hi")


class SlowSocket:
    """Takes a little now and then; and is the loop that would say when."""

    def __init__(self, *, seldom: int, at_once: int) -> None:
        self.got = bytearray()
        self._seldom = seldom
        self._at_once = at_once
        self._asked = 0

    def settimeout(self, _seconds: float) -> None:
        """It never waits."""

    def fileno(self) -> int:
        return 0

    def watch(self, fd: int, mask: int, handler: object) -> None:
        """Nothing happens by itself."""

    def send(self, content: bytes) -> int:
        self._asked += 1
        if self._asked % self._seldom:
            raise BlockingIOError
        self.got += content[: self._at_once]
        return len(content[: self._at_once])


@given(
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=40),
    lengths=st.lists(st.integers(0, 200), min_size=1, max_size=60),
)
@example(
    cuts=[3, 1, 186, 398, 1, 6, 1, 85, 1, 13, 19, 204, 1],
    lengths=[0, 0, 0, 0, 0, 0, 0, 0, 137, 0, 58, 151, 200, 3, 113, 200],
)
@settings(deadline=None, max_examples=60)
def test_a_full_ring_drops_whole_lines(cuts: list[int], lengths: list[int]) -> None:
    """Whatever the pieces, what comes out is a part of the lines, in order and unbroken."""
    writer = SlowSocket(seldom=3, at_once=250)
    ring = nonblocking.Ring(cast("Loop", writer), cast("lean.Socket", writer), 600)
    lines = [b"%d:%s\n" % (n, b"x" * length) for n, length in enumerate(lengths)]
    text = b"".join(lines)
    for cut in cuts:
        ring.output(protocol.STDOUT, text[:cut])
        text = text[cut:]
    frames = protocol.FrameReader().feed(bytes(writer.got))
    shown = b"".join(payload for _, payload in frames).splitlines(keepends=True)
    numbers = [lines.index(line) for line in shown]
    assert numbers == sorted(set(numbers))
