"""Real programs run: they answer, write logs, take commands and stop."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.containers import until
from support.programs import Programs

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker", "mmdebstrap"),
    pytest.mark.timeout(600),
]
START_TIMEOUT_S = 30.0


@contextmanager
def running(real: Programs, program: str, *flags: str) -> Iterator[str]:
    """Run the image of a program as a container of its name."""
    real.docker("run", "-d", "--name", program, *flags, real.image(program))
    try:
        yield program
    finally:
        real.docker("rm", "-fv", program)


def fetch(address: str, path: str) -> str:
    """Get a page, as soon as somebody serves."""
    said: list[str] = []

    def answered() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
                said.append(answer.read().decode())
        except OSError:
            return False
        return True

    until(answered, START_TIMEOUT_S)
    return said[0]


def state(real: Programs, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(real.docker("inspect", "-f", "{{json .State}}", name))
    return found


def stops_in_order(real: Programs, name: str) -> None:
    real.docker("stop", "-t", "20", name)
    ended = state(real, name)
    assert (ended["Status"], ended["ExitCode"], ended["OOMKilled"]) == ("exited", 0, False)


def test_nginx_serves_its_site(real: Programs) -> None:
    flags = ("-p", "127.0.0.1::8080", "--health-interval", "200ms")
    with running(real, "nginx", *flags) as name:
        address = real.docker("port", name, "8080/tcp")
        assert fetch(address, "/") == "<h1>moored</h1>\n"
        assert fetch(address, "/pages/more/one.html") == "one.html"
        assert fetch(address, "/deep/file.txt") == "deep\n"
        until(lambda: state(real, name)["Health"]["Status"] == "healthy", START_TIMEOUT_S)
        assert "GET /deep/file.txt HTTP/1.1" in real.docker("logs", name)
        assert real.docker("exec", name, "id", "-un") == "www-data"
        assert "cap_net_bind_service" in real.docker("exec", name, "getcap", "/usr/sbin/nginx")
        assert "nginx: master process" in real.docker("top", name)
        stops_in_order(real, name)


def test_redis_keeps_what_it_is_given(real: Programs) -> None:
    with running(real, "redis") as name:

        def redis(*words: str) -> str:
            return real.docker("exec", name, "redis-cli", *words)

        until(lambda: "Ready to accept" in real.docker("logs", name), START_TIMEOUT_S)
        assert redis("set", "key", "two words") == "OK"
        assert redis("get", "key") == "two words"
        assert redis("save") == "OK"
        real.docker("restart", "-t", "20", name)
        ping = ("exec", name, "redis-cli", "ping")
        until(lambda: real.docker.run(*ping).text == "PONG", START_TIMEOUT_S)
        assert redis("get", "key") == "two words", "the volume is kept"
        assert real.docker("exec", name, "stat", "-c", "%U", "/data/dump.rdb") == "redis"
        stops_in_order(real, name)


def test_a_python_service_answers(real: Programs) -> None:
    with running(real, "python", "-p", "127.0.0.1::8000") as name:
        address = real.docker("port", name, "8000/tcp")
        assert fetch(address, "/some/where") == "hello /some/where\n"
        assert real.docker("logs", name).startswith("serving")
        assert real.docker("exec", name, "sh", "-c", "id -un; pwd") == "service\n/home/service"
        stops_in_order(real, name)


def test_c_from_scratch_and_node_print(real: Programs) -> None:
    assert real.docker("run", "--rm", real.image("c")) == "65534: 3"
    assert real.docker("run", "--rm", real.image("c"), "20", "22") == "65534: 42"
    assert real.docker("run", "--rm", real.image("node")) == "hello production"
    assert real.docker("run", "--rm", real.image("node"), "node", "index.js", "you") == "hello you"


def test_several_programs_speak_to_each_other_by_name(real: Programs) -> None:
    real.docker("network", "create", "programs")
    try:
        with (
            running(real, "redis", "--network", "programs"),
            running(real, "python", "--network", "programs"),
        ):
            until(lambda: "Ready to accept" in real.docker("logs", "redis"), START_TIMEOUT_S)
            until(lambda: "serving" in real.docker("logs", "python"), START_TIMEOUT_S)
            asked = (
                "import socket, urllib.request as u;"
                "s = socket.create_connection(('redis', 6379)); s.sendall(b'PING\\r\\n');"
                "print(s.recv(100).decode().strip(), u.urlopen('http://python:8000/x').read())"
            )
            flags = ("--rm", "--network", "programs", "--entrypoint", "python3")
            said = real.docker("run", *flags, real.image("python"), "-c", asked)
            assert said == "+PONG b'hello /x\\n'"
    finally:
        real.docker("network", "rm", "programs")
