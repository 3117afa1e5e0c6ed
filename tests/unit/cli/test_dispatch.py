"""What a command line is refused with before anything is asked of a daemon."""

from __future__ import annotations

import json
import os
import re
import socketserver
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from moorage.cli.failure import CommandError
from moorage.cli.main import run
from moorage.cli.session import custom_headers
from support.serving import Serving

MOOR = Path(sys.executable).parent / "moor"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("container --nope", 125, "unknown flag: --nope\n\nUsage:  moor container COMMAND\n"),
        ("image -Z", 125, "unknown shorthand flag: 'Z' in -Z\n\nUsage:  moor image COMMAND\n"),
        (
            "volume nope",
            1,
            "moor: unknown command: moor volume nope\n\nUsage:  moor volume",
        ),
        ("build", 1, "moor: 'moor build' requires 1 argument\n\nUsage:  moor build [OPTIONS]"),
        ("builder build a b", 1, "moor: 'moor builder build' requires 1 argument\n"),
        ("build --ulimit x .", 125, 'invalid argument "x" for "--ulimit" flag: invalid ulimit'),
    ],
)
def test_a_wrong_command_line_is_refused_in_dockers_words(
    words: str, status: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["-H", "unix:///nope", *words.split()]) == status
    shown = capfd.readouterr()
    assert (shown.out, shown.err[: len(said)]) == ("", said)


@pytest.mark.parametrize("words", ["container --help", "image -h"])
def test_a_group_shows_its_page_when_asked(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 0
    assert capfd.readouterr().out.startswith("Usage:  moor ")


class Manager(BaseHTTPRequestHandler):
    """A daemon that manages a swarm; it keeps what it is asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def setup(self) -> None:
        super().setup()
        self.client_address = ("", 0)

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.asked.append(f"GET {self.path}")
        self.answer(b"[]")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = f"{body['AdvertiseAddr']} {body['Spec']['Raft']} {self.headers['X-One']}"
        self.asked.append(f"POST {self.path} {said}")
        self.answer(b'"abc"')

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Api-Version", "1.44")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def test_a_swarm_is_formed_but_not_looked_after(tmp_path: Path) -> None:
    socket, asked = tmp_path / "s", list[str]()
    handler = type("Handler", (Manager,), {"asked": asked})

    def moor(words: str) -> tuple[int, str, str]:
        command = [str(MOOR), "-H", f"unix://{socket}", *words.split()]
        environment = os.environ | {"DOCKER_CUSTOM_HEADERS": "X-One=1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    with Serving(socketserver.ThreadingUnixStreamServer(str(socket), handler)):
        formed = moor("swarm init --advertise-addr eth0 --max-snapshots 2")
        status, _, refusal = moor("service rm --what x")
    assert formed == (0, "Swarm initialized: current node (abc) is now a manager.\n", "")
    assert (status, "use 'docker service'" in refusal) == (1, True)
    assert asked == [
        "POST /v1.44/swarm/init eth0 {'SnapshotInterval': 10000, 'KeepOldSnapshots': 2} 1",
        "GET /v1.44/services",
    ]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("X-One=1,x-two=a=b", {"X-One": "1", "x-two": "a=b"}),
        ("X-One= 1 ", {"X-One": " 1 "}),
        ("=x", "value contains a key=value pair with an empty key: '=x'"),
        ("a", "missing \"=\" in key=value pair: 'a'"),
        ('"a', "value must be formatted as comma-separated key=value pairs"),
    ],
)
def test_headers_of_the_environment_take_the_place_of_the_configured(
    text: str, seen: dict[str, str] | str
) -> None:
    if isinstance(seen, str):
        with pytest.raises(CommandError, match=re.escape(seen)):
            custom_headers(text)
    else:
        assert custom_headers(text) == seen
