"""Reading logs: tails, times, streams, rotation and following."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import os
from pathlib import Path

import pytest

from moorage.lib import clock
from moorage.lib.errors import InvalidParameter, NotImplemented_
from moorage.logs import options, reader, tag
from moorage.logs.selection import Selection, fixed_stamp

START = 1_893_499_445_000_000_000  # 2030-01-01T12:04:05Z


def record(number: int, stream: str = "stdout", **more: object) -> str:
    when = clock.rfc3339(START + number * 1_000_000_000)
    content = {"log": f"line {number}\n", "stream": stream, **more, "time": when}
    return json.dumps(content) + "\n"


async def shown(path: Path, selection: Selection, ended: asyncio.Event | None = None) -> str:
    runs = [texts async for _, texts in reader.read("json-file", path, selection, ended=ended)]
    return b"".join(itertools.chain.from_iterable(runs)).decode()


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """A log of 30 lines in three files, the oldest compressed."""
    path = tmp_path / "log"
    (tmp_path / "log.2.gz").write_bytes(gzip.compress("".join(map(record, range(10))).encode()))
    (tmp_path / "log.1").write_text("".join(map(record, range(10, 20))))
    path.write_text("".join(map(record, range(20, 30))))
    for age, name in enumerate(("log", "log.1", "log.2.gz")):
        os.utime(tmp_path / name, ns=(0, START + (29 - 10 * age) * 1_000_000_000))
    return path


async def test_whole_log_over_its_files(rotated: Path) -> None:
    assert await shown(rotated, Selection()) == "".join(f"line {n}\n" for n in range(30))


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25, 30, 99])
async def test_tail(rotated: Path, count: int) -> None:
    expected = "".join(f"line {n}\n" for n in range(max(0, 30 - count), 30))
    assert await shown(rotated, Selection(tail=count)) == expected


async def test_tail_of_a_big_file_reads_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(map(record, range(5000))))
    text = await shown(tmp_path / "log", Selection(tail=3000))
    assert text == "".join(f"line {n}\n" for n in range(2000, 5000))


async def test_since_and_until(rotated: Path) -> None:
    selection = Selection(since_ns=START + 12 * 1_000_000_000, until_ns=START + 22 * 1_000_000_000)
    assert await shown(rotated, selection) == "".join(f"line {n}\n" for n in range(12, 23))


async def test_streams_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(record(0) + record(1, "stderr") + record(2) + record(3))
    both = [piece async for piece in reader.read("json-file", path, Selection())]
    first, second, third = [b"line 0\n"], [b"line 1\n"], [b"line 2\n", b"line 3\n"]
    assert both == [(1, first), (2, second), (1, third)]
    assert await shown(path, Selection(stdout=False)) == "line 1\n"


async def test_timestamps_and_details(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(record(0, attrs={"b": "x y", "a": "1"}))
    text = await shown(path, Selection(timestamps=True, details=True))
    assert text == "2030-01-01T12:04:05.000000000Z a=1,b=x+y line 0\n"
    assert fixed_stamp(START + 1_200) == "2030-01-01T12:04:05.000001200Z"


async def test_corrupt_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(record(0).encode() + b"{torn\n\xff\xfe\n\n" + record(1).encode() + b'{"log":')
    assert await shown(path, Selection()) == "line 0\nline 1\n"


async def test_absent_log_is_empty(tmp_path: Path) -> None:
    assert await shown(tmp_path / "log", Selection(tail=5)) == ""


async def test_unreadable_driver_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotImplemented_, match="does not support reading"):
        async for _ in reader.read("syslog", tmp_path / "log", Selection()):
            pass


async def test_following_sees_what_comes_and_goes_over_rotations(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(record(0))
    ended = asyncio.Event()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        selection = Selection(follow=True)
        async for _, texts in reader.read("json-file", path, selection, ended=ended):
            pieces.put_nowait(b"".join(texts))

    async def expect(text: bytes) -> None:
        seen = b""
        while len(seen) < len(text):
            seen += await pieces.get()
        assert seen == text

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await expect(b"line 0\n")
        with path.open("a") as file:
            file.write(record(1))
        await expect(b"line 1\n")
        path.rename(tmp_path / "log.1")
        with (tmp_path / "log.1").open("a") as file:
            file.write(record(2))  # the writer's last before it noticed nothing at all
        path.write_text(record(3))
        await expect(b"line 2\nline 3\n")
        path.write_text("")
        await asyncio.sleep(0)
        with path.open("a") as file:
            file.write(record(4)[:10])
            file.flush()
            file.write(record(4)[10:])
        ended.set()
    assert pieces.qsize() <= 1


async def test_following_from_the_end_shows_nothing_old(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(record(0))
    ended = asyncio.Event()
    ended.set()
    assert await shown(path, Selection(follow=True, tail=0), ended) == ""


async def test_following_ends_at_its_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(record(0))
    until = clock.now_ns() + 50_000_000
    async with asyncio.timeout(5):
        assert await shown(path, Selection(follow=True, until_ns=until)) == ""  # 2030 is later


async def test_following_ends_though_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_text(record(0))
    real = clock.now_ns
    until = real() + 100_000_000
    year = 365 * 86400 * 10**9
    asyncio.get_running_loop().call_later(
        0.02, monkeypatch.setattr, clock, "now_ns", lambda: real() - year
    )
    async with asyncio.timeout(20):
        assert await shown(path, Selection(follow=True, until_ns=until)) == ""


@pytest.mark.parametrize(
    ("driver", "given"),
    [
        ("json-file", {}),
        ("json-file", {"max-size": "10m", "max-file": "3", "labels": "a", "mode": "non-blocking"}),
        ("local", {"compress": "false"}),
        ("none", {}),
        ("gelf", {"gelf-address": "udp://localhost:1"}),
        ("syslog", {"syslog-address": "unixgram:///dev/log"}),
        ("fluentd", {"fluentd-address": "localhost:24224"}),
    ],
)
def test_good_options(driver: str, given: dict[str, str]) -> None:
    options.validate(driver, given)


@pytest.mark.parametrize(
    ("driver", "given", "message"),
    [
        ("nope", {}, 'error looking up logging plugin nope: plugin "nope" not found'),
        ("json-file", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
        ("none", {"max-size": "1m"}, "unknown log opt"),
        ("json-file", {"max-size": "ten"}, "invalid value for max-size"),
        ("json-file", {"max-file": "3"}, "max-file cannot be used without max-size"),
        ("local", {"max-file": "0"}, "invalid value for max-file"),
        ("local", {"compress": "maybe"}, "invalid value for compress"),
        ("local", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        ("local", {"max-buffer-size": "1m"}, "only supported with 'mode=non-blocking'"),
        ("syslog", {"env-regex": "("}, "invalid value for env-regex"),
        ("local", {"tag": "x"}, "unknown log opt 'tag' for log driver local"),
        ("gelf", {}, "gelf-address is a required parameter"),
        ("gelf", {"gelf-address": "http://x"}, "gelf: endpoint needs to be TCP or UDP"),
        ("syslog", {"syslog-address": "x"}, "unsupported scheme: ''"),
        ("fluentd", {"fluentd-address": "udp://x"}, "unsupported scheme: 'udp'"),
        ("syslog", {"tag": "{{.Nope}}"}, "no field Nope"),
        ("syslog", {"tag": "{{range .X}}"}, "invalid log tag"),
    ],
)
def test_bad_options_name_themselves(driver: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message.replace("(", r"\(")):
        options.validate(driver, given)


def test_tag_is_filled_in() -> None:
    tags = {"id": "a" * 64, "short_id": "a" * 12, "name": "web", "image_id": "sha256:" + "b" * 64}
    shown = tag.expand("{{.DaemonName}}/{{ .Name }}/{{.ID}}/{{.ImageID}}", tags)
    assert shown == "docker/web/aaaaaaaaaaaa/bbbbbbbbbbbb"
    assert tag.expand("", tags) == ""
