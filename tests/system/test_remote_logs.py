"""Logs and what they go to: a server that is away or slow, a disk that hangs."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.lib.errors import System
from moorage.logs import reader
from moorage.logs.selection import Selection
from moorage.runtime.contract import ProcessIO
from support.bundles import Bench, bench, ended

pytestmark = pytest.mark.requires("root", "crun")


@pytest.fixture
async def b(kit_root: Path) -> AsyncIterator[Bench]:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as opened:
        yield opened


def streams(driver: str, **options: str) -> ProcessIO:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    tags = {"id": "c" * 64, "name": "web", "hostname": "box"}
    return ProcessIO(log_driver=driver, log_options=named, log_tags=tags)


async def run(b: Bench, script: str, io: ProcessIO) -> int:
    task = await b.create("sh", "-c", script, io=io)
    await task.start()
    status = await ended(task)
    await task.delete()
    return status.code


async def test_syslog_and_gelf_by_datagrams(b: Bench) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)  # noqa: FBT003 - the parameter has no name
        address = f"udp://127.0.0.1:{server.getsockname()[1]}"
        io = streams("syslog", syslog_address=address, syslog_format="rfc3164")
        assert await run(b, "echo hello", io) == 0
        message = await loop.sock_recv(server, 2048)
        assert message.startswith(b"<30>")
        assert message.endswith(b": hello\n")
        assert await run(b, "echo hello >&2", streams("gelf", gelf_address=address)) == 0
        content = json.loads(zlib.decompress(await loop.sock_recv(server, 2048), 31))
        assert (content["short_message"], content["level"]) == ("hello", 3)
        assert content["_container_name"] == "web"


async def test_fluentd_gets_what_was_written_before_it_came(b: Bench) -> None:
    path = b.root / "fluent.sock"
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.put_nowait(await reader.readuntil(b"second"))
        writer.close()

    io = streams("fluentd", fluentd_address=f"unix://{path}")
    task = await b.create("sh", "-c", "echo first; sleep 1; echo second; sleep 0.2", io=io)
    await task.start()
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        event = await asyncio.wait_for(got.get(), 15)
    assert event.index(b"first") < event.index(b"second")
    await ended(task)
    await task.delete()


async def test_server_that_is_away_does_not_stop_the_process(b: Bench) -> None:
    flood = "yes 0123456789012345678901234567890123456789 | head -n 40000; exit 5"
    with socket.socket() as silent:  # accepts into its backlog and never reads
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        for address in ("tcp://127.0.0.1:1", f"tcp://127.0.0.1:{silent.getsockname()[1]}"):
            assert await run(b, flood, streams("fluentd", fluentd_address=address)) == 5


NUMBERS = "i=0; while [ $i -lt 30000 ]; do echo line $i of many more; i=$((i+1)); done; exit 5"


async def test_a_disk_that_hangs_does_not_hold_up_who_asked_not_to_wait(b: Bench) -> None:
    """What finds room is written in order and in whole lines, the rest is dropped."""
    disk = b.root / "log"
    os.mkfifo(disk)
    reading = os.open(disk, os.O_RDONLY | os.O_NONBLOCK)
    options = {"mode": "non-blocking", "max-buffer-size": "100k"}
    io = ProcessIO(log_driver="json-file", log_path=disk, log_options=options)
    try:
        assert await run(b, NUMBERS, io) == 5
        os.set_blocking(reading, True)
        with os.fdopen(reading, "rb", closefd=False) as file:
            written = await asyncio.to_thread(file.read)  # until the writer has ended
    finally:
        os.close(reading)
    lines = [json.loads(line)["log"] for line in written.splitlines()[:-1]]
    numbers = [int(line.split()[1]) for line in lines]
    assert all(line.endswith(" of many more\n") for line in lines)
    assert numbers == sorted(set(numbers))
    assert 100 < len(numbers) < 29_000


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_who_does_not_wait_loses_nothing_on_a_disk_that_works(b: Bench, driver: str) -> None:
    path = b.log()
    options = {"mode": "non-blocking", "max-buffer-size": "8m"}
    io = ProcessIO(log_driver=driver, log_path=path, log_options=options)
    assert await run(b, NUMBERS.replace("exit", "printf end; exit"), io) == 5
    selection = Selection()
    runs = reader.read(driver, path, selection)
    text = b"".join([b"".join(texts) async for _, texts in runs])
    lines = b"".join(b"line %d of many more\n" % n for n in range(30000))
    assert text.removesuffix(b"\n") == lines + b"end"  # the local driver adds it


async def test_a_log_that_cannot_be_opened_is_said_at_once(b: Bench) -> None:
    io = streams("gelf", mode="non-blocking")
    with pytest.raises(System, match="gelf-address is a required parameter"):
        await b.create("true", io=io)
