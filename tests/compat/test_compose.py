"""``docker-compose`` against our daemon: a project's whole life."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cli import Cli
from support.daemon import Daemon

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker", "docker-compose"),
    pytest.mark.timeout(240),  # a score of programs, each of which takes its second to start
]

PROJECT = """
version: "2.4"
services:
  db:
    image: busybox
    command: sh -c "echo db is up; touch /data/ready; exec sleep 1000"
    volumes: [data:/data, /scratch]
    healthcheck: {test: [CMD, test, -e, /data/ready], interval: 1s, timeout: 5s, retries: 20}
    networks: {back: {aliases: [database]}}
    stop_signal: SIGKILL
  web:
    build: .
    command: httpd -f -p 80 -h /www
    depends_on: {db: {condition: service_healthy}}
    ports: ["80"]
    networks: [front, back]
    links: [db:store]
    volumes: ["./html:/www:ro"]
    extra_hosts: ["far:192.0.2.1"]
    mem_limit: 64m
    init: true
    stop_signal: SIGKILL
  neighbour:
    image: busybox
    network_mode: service:web
    depends_on: [web]
    command: sh -c "until wget -qO- localhost; do sleep 0.2; done; exec sleep 1000"
    stop_signal: SIGKILL
networks: {front: {}, back: {}}
volumes: {data: {labels: {kind: kept}}}
"""
RECIPE = "FROM busybox\nENV SHOWN=seen\nRUN echo built > /built\nVOLUME /own\n"


@pytest.fixture
def compose(daemon: Daemon, tmp_path: Path) -> Cli:
    """Compose, with the project that lies in *tmp_path*."""
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "index.html").write_text("hello from the bind\n")
    (tmp_path / "docker-compose.yml").write_text(PROJECT)
    (tmp_path / "Dockerfile").write_text(RECIPE)
    cli = Cli("docker-compose", daemon.socket, tmp_path)
    cli.environment["COMPOSE_FILE"] = str(tmp_path / "docker-compose.yml")
    cli.environment["COMPOSE_PROJECT_NAME"] = "sea"
    return cli


def test_a_project_from_up_to_down(compose: Cli, docker: Cli) -> None:
    compose("up", "-d", "--build")
    assert "db is up" in compose("logs", "db")
    assert compose("exec", "-T", "web", "cat", "/built") == "built"
    names = "for n in database store db; do ping -c 1 $n || exit 1; done; cat /etc/hosts"
    assert "192.0.2.1\tfar" in compose("exec", "-T", "web", "sh", "-c", names)
    assert compose.run("exec", "-T", "db", "sh", "-c", "exit 3").code == 3
    assert compose("port", "web", "80").startswith("0.0.0.0:")

    compose("up", "-d", "--scale", "db=2")
    assert len(compose("ps", "-q", "db").split()) == 2
    compose("up", "-d", "--scale", "db=1")
    unchanged = compose("ps", "-q")
    compose("up", "-d")
    assert compose("ps", "-q") == unchanged

    compose("up", "-d", "--force-recreate")  # volumes go over to the new containers
    assert not set(unchanged.split()) & set(compose("ps", "-q").split())
    assert compose("exec", "-T", "db", "ls", "/data") == "ready"
    assert compose("run", "--rm", "-T", "--no-deps", "web", "sh", "-c", "echo $SHOWN") == "seen"
    compose("restart", "db")
    assert "hello from the bind" in compose("logs", "neighbour")

    compose("down", "-v", "--rmi", "local", "--remove-orphans")
    assert "sea" not in docker("ps", "-a") + docker("network", "ls") + docker("volume", "ls")
