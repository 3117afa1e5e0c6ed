"""The official buildx and compose plugins against our daemon."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from support import needs
from support.cli import Cli, Result
from support.daemon import Daemon

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker", "buildx"),
    pytest.mark.timeout(180),
]


class Client:
    """``docker`` with its plugins, in a directory with a project."""

    def __init__(self, daemon: Daemon, root: Path) -> None:
        self.root = root / "project"
        self.root.mkdir()
        self.cli = Cli("docker", daemon.socket, root)
        config = root / "config"
        (config / "cli-plugins").mkdir(parents=True)
        for name in ("docker-buildx", "docker-compose"):
            if (plugin := needs.cli_plugin(name)) is not None:
                (config / "cli-plugins" / name).symlink_to(plugin)
        self.cli.environment["DOCKER_CONFIG"] = str(config)
        self.cli.environment.pop("DOCKER_BUILDKIT", None)

    def write(self, dockerfile: str, **files: str) -> None:
        """Write the project."""
        (self.root / "Dockerfile").write_text(dockerfile)
        for name, content in files.items():
            (self.root / name).write_text(content)

    def build(self, *arguments: str | Path, stdin: str | bytes | None = None) -> Result:
        """Build, whatever comes of it."""
        flags = ["--progress", "plain", "--network", "none"]
        return self.cli.run("buildx", "build", *flags, *arguments, stdin=stdin)


@pytest.fixture
def client(daemon: Daemon, tmp_path: Path) -> Client:
    return Client(daemon, tmp_path)


def test_the_builder_is_listed_and_inspected(client: Client) -> None:
    assert "linux/" in client.cli("buildx", "ls")
    assert "running" in client.cli("buildx", "inspect")


def test_a_build_has_its_image_and_tells_of_it(client: Client, tmp_path: Path) -> None:
    client.write("FROM busybox\nARG A\nCOPY f /f\nRUN cat /f && echo $A\n", f="content")
    iid, meta = tmp_path / "iid", tmp_path / "meta"
    done = client.build(
        *("-t", "bx/a:1", "--build-arg", "A=arg", "--label", "k=v"),
        *("--iidfile", str(iid), "--metadata-file", str(meta), client.root),
    ).ok()
    assert "content" in done.err
    assert "writing image sha256:" in done.err
    image = json.loads(client.cli("image", "inspect", "bx/a:1"))[0]
    assert image["Id"] == iid.read_text()
    assert image["Config"]["Labels"]["k"] == "v"
    told = json.loads(meta.read_text())
    assert told["containerimage.config.digest"] == image["Id"]
    assert told["image.name"] == "docker.io/bx/a:1"
    quiet = client.cli("buildx", "build", "-q", "--build-arg", "A=arg", client.root)
    assert quiet.startswith("sha256:")
    assert "CACHED" in client.build("--build-arg", "A=arg", client.root).ok().err
    client.cli("rmi", "-f", "bx/a:1")
    client.cli("buildx", "prune", "-af")


def test_docker_build_takes_the_plugin(client: Client) -> None:
    client.write("FROM busybox\nRUN --network=none true\n")
    done = client.cli.run("build", "--progress=plain", "-t", "bx/b:1", client.root).ok()
    assert "docker driver" in done.err
    client.cli("rmi", "-f", "bx/b:1")


def test_a_failing_step_is_framed(client: Client) -> None:
    client.write("FROM busybox\nRUN echo said >&2; exit 9\n")
    done = client.build(client.root)
    assert done.code == 1
    assert ">>> RUN echo said >&2; exit 9" in done.err
    assert "did not complete successfully: exit code: 9" in done.err


def test_contexts_from_standard_input(client: Client) -> None:
    client.write("FROM busybox\nCOPY f /f\nRUN cat /f\n", f="piped")
    packed = subprocess.run(
        ["tar", "c", "."], cwd=client.root, capture_output=True, check=True
    ).stdout
    assert "piped" in client.build("-", stdin=packed).ok().err
    only = "FROM busybox\nRUN echo only-a-dockerfile | tr a-z A-Z\n"
    assert "ONLY-A-DOCKERFILE" in client.build("-", stdin=only).ok().err
    recipe = "FROM busybox\nCOPY f /\nRUN cat f\n"
    assert "piped" in client.build("-f", "-", client.root, stdin=recipe).ok().err


def test_outputs_secrets_and_contexts(client: Client, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "m").write_text("more")
    (tmp_path / "s").write_text("hush")
    client.write(
        "FROM base\nCOPY --from=extra m /m\n"
        "RUN --mount=type=secret,id=s tr a-z A-Z < /run/secrets/s > /s\n"
    )
    out = tmp_path / "out"
    client.build(
        *("--build-context", "base=docker-image://busybox"),
        *("--build-context", f"extra={more}", "--secret", f"id=s,src={tmp_path / 's'}"),
        *("-o", out, client.root),
    ).ok()
    assert (out / "m").read_text() == "more"
    assert (out / "s").read_text() == "HUSH"
    archive = tmp_path / "oci.tar"
    client.write("FROM scratch\nLABEL a=b\n")
    client.build(
        *("--platform", "linux/amd64,linux/arm64", "--provenance", "mode=max"),
        *("-o", f"type=oci,dest={archive}", client.root),
    ).ok()
    assert archive.stat().st_size > 0


def test_an_interrupted_build_leaves_nothing(client: Client) -> None:
    client.write("FROM busybox\nRUN echo begun; sleep 1000\n")
    command = ["docker", "buildx", "build", "--progress=plain", "--network=none", str(client.root)]
    building = subprocess.Popen(command, stderr=subprocess.PIPE, env=client.cli.environment)
    assert building.stderr is not None
    for line in building.stderr:
        if line.endswith(b" begun\n"):
            break
    building.send_signal(signal.SIGINT)
    assert b"cancel" in building.stderr.read()
    assert building.wait() != 0
    building.stderr.close()


def test_what_is_not_built_says_so(client: Client, tmp_path: Path) -> None:
    client.write("FROM busybox\n")
    done = client.build("--cache-to", f"type=local,dest={tmp_path / 'c'}", client.root)
    assert done.code != 0
    assert "content service" in done.err


@pytest.mark.requires("compose-plugin")
def test_compose_builds_and_runs(client: Client) -> None:
    client.write("FROM busybox AS one\nARG V\nRUN echo $V > /v\nFROM one AS two\n")
    (client.root / "compose.yaml").write_text(
        "services:\n  web:\n    build: {context: ., target: two, args: {V: seven}, network: none}\n"
        "    command: cat /v\n    network_mode: none\n"
    )
    file = ("-f", str(client.root / "compose.yaml"))
    client.cli("compose", *file, "build", timeout=60)
    assert "seven" in client.cli("compose", *file, "up", timeout=60)
    client.cli("compose", *file, "down", "--rmi", "all", timeout=60)
