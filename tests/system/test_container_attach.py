"""Clients attached to a container's streams: several at once, replay, leaving, WebSocket."""

from __future__ import annotations

import base64
import os
import time

import pytest

from support import containers as c
from support.api import Api

pytestmark = pytest.mark.requires("root", "overlayfs")
ALL = "stream=1&stdin=1&stdout=1&stderr=1"


def test_a_client_attached_before_the_start_misses_nothing(api: Api) -> None:
    container_id = c.create(api, "sh", "-c", "echo first; echo second >&2")
    with c.Hijack(api, f"/containers/{container_id}/attach?{ALL}") as stream:
        api.post(f"/containers/{container_id}/start").ok()
        found = sorted(c.frames(stream.rest()))
    assert found == [(1, b"first\n"), (2, b"second\n")]


def test_several_clients_see_the_same_and_leaving_disturbs_nobody(api: Api) -> None:
    container_id = c.run(api, "sh", "-c", "while read x; do echo got $x; done", OpenStdin=True)
    one = c.Hijack(api, f"/containers/{container_id}/attach?{ALL}")
    two = c.Hijack(api, f"/containers/{container_id}/attach?stream=1&stdout=1")
    one.send(b"a\n")
    one.read_until(b"got a")
    two.read_until(b"got a")
    one.close()
    with c.Hijack(api, f"/containers/{container_id}/attach?{ALL}") as three:
        three.send(b"b\n")
        three.read_until(b"got b")
        two.read_until(b"got b")
    two.close()
    assert c.state(api, container_id)["Running"] is True


def test_stdin_once_ends_the_input_with_its_client(api: Api) -> None:
    container_id = c.create(api, "cat", OpenStdin=True, StdinOnce=True)
    with c.Hijack(api, f"/containers/{container_id}/attach?{ALL}") as stream:
        api.post(f"/containers/{container_id}/start").ok()
        stream.send(b"x" * 300_000)
        stream.end_input()
        said = b"".join(piece for _, piece in c.frames(stream.rest()))
    assert said == b"x" * 300_000
    assert c.wait(api, container_id) == 0


def test_the_log_is_replayed_to_who_asks(api: Api) -> None:
    container_id = c.run(api, "sh", "-c", "echo early; read x; echo late $x", OpenStdin=True)
    c.until(lambda: "early" in c.output(api, container_id))
    with c.Hijack(api, f"/containers/{container_id}/attach?logs=1&{ALL}") as stream:
        stream.read_until(b"early\n")
        stream.send(b"now\n")
        stream.read_until(b"late now\n")


def test_a_terminal_is_raw_and_can_be_left_by_keys(api: Api) -> None:
    since = time.time()
    container_id = c.run(api, "sh", OpenStdin=True, Tty=True)
    with c.Hijack(api, f"/containers/{container_id}/attach?{ALL}&detachKeys=ctrl-x,q") as stream:
        assert "raw-stream" in stream.head
        api.post(f"/containers/{container_id}/resize", h=40, w=100).ok()
        stream.send(b"stty size\n")
        stream.read_until(b"40 100")
        stream.send(b"\x18q")
        stream.rest()
    assert c.state(api, container_id)["Running"] is True
    found = [e["Action"] for e in api.events(since) if e["Actor"]["ID"] == container_id]
    assert found[-3:] == ["attach", "resize", "detach"]
    bad = api.post(f"/containers/{container_id}/attach", stream=True, detachKeys="ctrl-")
    assert bad.status == 400


def test_a_websocket_carries_the_streams(api: Api) -> None:
    container_id = c.run(api, "sh", "-c", "read x; echo got $x", OpenStdin=True, Tty=True)
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET {api.prefix}/containers/{container_id}/attach/ws?{ALL} HTTP/1.1\r\nHost: x\r\n"
        f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n"
    )
    with api.raw(head.encode()) as connection:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(4096)
        assert data.startswith(b"HTTP/1.1 101")
        mask = b"\1\2\3\4"
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(b"hi\n"))
        connection.sendall(bytes((0x81, 0x80 | len(text))) + mask + text)
        while b"got hi" not in data:
            piece = connection.recv(4096)
            assert piece
            data += piece


def test_attach_to_what_is_paused_is_refused(api: Api) -> None:
    container_id = c.sleeper(api)
    api.post(f"/containers/{container_id}/pause").ok()
    assert api.post(f"/containers/{container_id}/attach", stream=True).status == 409


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_each_line_of_a_log_is_a_frame_for_sdks_that_give_lines(api: Api, driver: str) -> None:
    container_id = c.run(
        api, "printf", "one\ntwo\nlast", host={"LogConfig": {"Type": driver, "Config": {}}}
    )
    c.wait(api, container_id)
    lines = [b"one\n", b"two\n", b"last" if driver == "json-file" else b"last\n"]
    for query in ({}, {"follow": True}):
        answer = api.get(f"/containers/{container_id}/logs", stdout=True, **query).ok()
        assert c.frames(answer.body) == [(1, line) for line in lines]


def test_logs_follow_until_the_end_and_select(api: Api) -> None:
    script = "for i in 1 2 3; do echo line $i; done; echo bad >&2; sleep 0.3; echo end"
    container_id = c.run(api, "sh", "-c", script)
    query = {"stdout": True, "stderr": True, "follow": True}
    body = api.get(f"/containers/{container_id}/logs", **query).ok().body
    text = b"".join(piece for _, piece in c.frames(body))
    assert text.count(b"line") == 3
    assert text.endswith(b"end\n")

    def logs(**options: object) -> str:
        answer = api.get(f"/containers/{container_id}/logs", **options).ok()
        return b"".join(piece for _, piece in c.frames(answer.body)).decode()

    assert logs(stderr=True) == "bad\n"
    assert logs(stdout=True, tail=1) == "end\n"
    assert logs(stdout=True, until=1) == ""
    stamped = logs(stdout=True, tail=1, timestamps=True)
    assert stamped.startswith(time.strftime("%Y-", time.gmtime()))
    assert api.get(f"/containers/{container_id}/logs").status == 400
    silent = c.run(api, "echo", "x", host={"LogConfig": {"Type": "none"}})
    refused = api.get(f"/containers/{silent}/logs", stdout=True)
    assert (refused.status, refused.message) == (
        501,
        "configured logging driver does not support reading",
    )
