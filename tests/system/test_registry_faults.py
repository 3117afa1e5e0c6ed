"""Registries that lie, stall and break off: what the user is told, and what is left of it."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import images
from support.cli import Cli
from support.daemon import Daemon
from support.registry import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, FakeRegistry, Handler

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture(scope="module")
def layers() -> list[bytes]:
    return [images.layer([images.Entry(f"file{n}", os.urandom(1 << 20))]) for n in range(3)]


def stored(daemon: Daemon) -> set[str]:
    """Return what the store holds: blobs, partial blobs and unpacked layers."""
    root = daemon.data_root
    found = {str(p) for p in (root / "content").rglob("*") if p.is_file()}
    drivers = [p for p in (root / "layers").iterdir() if p.is_dir()]
    return found | {str(entry) for driver in drivers for entry in driver.iterdir()}


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answer(path: str, status: int, body: bytes) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        if path not in handler.path:
            return False
        handler.reply(status, body)
        return True

    return fault


def wrong_blob(registry: FakeRegistry, layers: list[bytes]) -> str:
    registry.add_simple_image("app", "1", layers)
    key = max((k for k in registry.state.blobs if k[0] == "app"), key=lambda k: k[1])
    data = registry.state.blobs[key]
    registry.state.blobs[key] = data[:-1] + bytes([data[-1] ^ 1])
    return "verification failed for digest"


def wrong_diff_id(registry: FakeRegistry, layers: list[bytes]) -> str:
    wrong = {"type": "layers", "diff_ids": ["sha256:" + "ab" * 32] * 3}
    registry.add_simple_image("app", "1", layers, rootfs=wrong)
    return "the image says sha256:abab"


def too_few_layers(registry: FakeRegistry, layers: list[bytes]) -> str:
    wrong = {"type": "layers", "diff_ids": []}
    registry.add_simple_image("app", "1", layers, rootfs=wrong)
    return "the configuration describes 0 layers, the manifest 3"


def no_tar(registry: FakeRegistry, layers: list[bytes]) -> str:
    registry.add_simple_image("app", "1", [*layers, os.urandom(5000)])
    return "invalid tar header"


def server_errors(registry: FakeRegistry, layers: list[bytes]) -> str:
    registry.add_simple_image("app", "1", layers)
    registry.state.faults.append(answer("/manifests/", 500, b"oops"))
    return "received unexpected HTTP status: 500"


def html(registry: FakeRegistry, layers: list[bytes]) -> str:
    registry.add_manifest("app", "1", b"<html>" + layers[0][:100], "text/html")
    return "gave text/html instead of a manifest"


def artifact(registry: FakeRegistry, layers: list[bytes]) -> str:
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", **registry.add_blob("app", b"{}")}
    blob = {"mediaType": "application/x-chart", **registry.add_blob("app", layers[0])}
    registry.add_manifest(
        "app", "1",
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [blob]},
    )  # fmt: skip
    return "is not an image but an artifact"


def both_kinds(registry: FakeRegistry, layers: list[bytes]) -> str:
    document = {"schemaVersion": 2, "manifests": [], "layers": [len(layers)], "config": {}}
    registry.add_manifest("app", "1", document, OCI_MANIFEST)
    return "an image and an index at the same time"


def bad_digest(registry: FakeRegistry, _: list[bytes]) -> str:
    config = {"mediaType": OCI_CONFIG, **registry.add_blob("app", b"{}")}
    evil = {"mediaType": OCI_LAYER_GZIP, "digest": "sha256:../../../etc/passwd", "size": 5}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [evil]}
    registry.add_manifest("app", "1", document)
    return "invalid checksum digest"


def million_layers(registry: FakeRegistry, layers: list[bytes]) -> str:
    config = {"mediaType": OCI_CONFIG, **registry.add_blob("app", b"{}")}
    layer = {"mediaType": OCI_LAYER_GZIP, **registry.add_blob("app", layers[0])}
    document = {"schemaVersion": 2, "config": config, "layers": [layer] * 20_000}
    registry.add_manifest("app", "1", document, OCI_MANIFEST)
    return "20000 layers|entries|more than 4194304"


@pytest.mark.parametrize(
    "lie",
    [
        wrong_blob, wrong_diff_id, too_few_layers, no_tar, server_errors, html, artifact,
        both_kinds, bad_digest, million_layers,
    ],
)  # fmt: skip
def test_a_lie_is_named_and_leaves_the_store_as_it_was(
    daemon: Daemon,
    docker: Cli,
    registry: FakeRegistry,
    layers: list[bytes],
    lie: Callable[[FakeRegistry, list[bytes]], str],
) -> None:
    before = stored(daemon)
    expected = lie(registry, layers)
    failed = docker.run("pull", f"{registry.host}/app:1")
    assert failed.code == 1
    assert any(part in failed.err for part in expected.split("|")), failed.err
    assert "Traceback" not in failed.err
    eventually(lambda: stored(daemon) <= before)
    assert docker("images", "-q", f"{registry.host}/app") == ""


def stall_after(size: int) -> tuple[Callable[[Handler], bool], threading.Event]:
    """Send only the first bytes of each layer; the event is set once that has happened."""
    stalled = threading.Event()

    def fault(handler: Handler) -> bool:
        data = handler.state.blobs.get(("app", handler.path.rpartition("/")[2]))
        if data is None or len(data) < size or handler.command != "GET":
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:size])
        handler.wfile.flush()
        stalled.set()
        with handler.connection as connection:
            connection.settimeout(30)
            try:
                connection.recv(1)
            except (TimeoutError, OSError):
                return True
        return True

    return fault, stalled


def partials(root: Path) -> list[int]:
    return sorted(p.stat().st_size for p in (root / "content" / "ingest").iterdir())


@pytest.mark.parametrize("way", ["kill", "cancel"])
def test_a_pull_goes_on_from_where_it_was(
    make_daemon: Callable[..., Daemon],
    registry: FakeRegistry,
    layers: list[bytes],
    tmp_path: Path,
    way: str,
) -> None:
    daemon = make_daemon(flags=["--bridge=none"]).start()
    docker = Cli("docker", daemon.socket, tmp_path)
    registry.add_simple_image("app", "1", layers)
    fault, stalled = stall_after(300_000)
    registry.state.faults.append(fault)
    with docker.start("pull", f"{registry.host}/app:1") as pulling:
        assert stalled.wait(20)
        eventually(lambda: 300_000 in partials(daemon.data_root))
        if way == "kill":
            daemon.restart(kill=True)
        pulling.kill()
    registry.state.faults.clear()
    before = len(registry.state.seen)
    docker("pull", f"{registry.host}/app:1")
    ranges = [s.headers.get("range") for s in registry.state.seen[before:] if "/blobs/" in s.path]
    assert "bytes=300000-" in ranges
    assert partials(daemon.data_root) == []
    assert json.loads(docker("inspect", f"{registry.host}/app:1"))[0]["RootFS"]["Layers"]


def test_two_pulls_at_once_fetch_each_blob_once(
    docker: Cli, registry: FakeRegistry, layers: list[bytes]
) -> None:
    registry.add_simple_image("app", "1", layers)
    names = [f"{registry.host}/app:1"] * 4
    running = [docker.start("pull", name) for name in names]
    for process in running:
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, out + err
    fetched = [s.path for s in registry.requests("GET", "/blobs/")]
    assert len(fetched) == len(set(fetched)) == 4
    docker("rmi", "-f", names[0])


def test_an_upload_that_is_cut_goes_on(
    daemon: Daemon, docker: Cli, registry: FakeRegistry, layers: list[bytes]
) -> None:
    name = f"{registry.host}/app:1"
    daemon.load(images.docker_archive(layers, tags=[name]))
    cuts = [True]

    def cut(handler: Handler) -> bool:
        if handler.command != "PUT" or "/uploads/" not in handler.path or not cuts:
            return False
        if len(handler.body) < 1000:
            return False
        cuts.pop()
        session = handler.where.rpartition("/")[2]
        handler.state.uploads[session] += handler.body[:500_000]
        handler.hang_up()
        return True

    registry.state.faults.append(cut)
    docker("push", name)
    resumed = registry.requests("PATCH", "/uploads/")
    assert [s.headers["content-range"].partition("-")[0] for s in resumed] == ["500000"]
    docker("rmi", name)
    docker("pull", name)
    docker("rmi", "-f", name)


def test_i5_the_addresses_that_a_layer_names_are_not_asked(
    docker: Cli, daemon: Daemon, registry: FakeRegistry, layers: list[bytes]
) -> None:
    digest = registry.add_simple_image("app", "1", layers[:1])
    document = json.loads(registry.state.manifests["app", digest][1])
    layer = document["layers"][0]
    layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    before = stored(daemon)
    with FakeRegistry() as elsewhere:
        elsewhere.state.blobs["x", layer["digest"]] = registry.state.blobs["app", layer["digest"]]
        layer["urls"] = [f"http://{elsewhere.host}/v2/x/blobs/{layer['digest']}"]
        registry.add_manifest("app", "2", document)
        image = f"{registry.host}/app:2"
        docker("pull", image)  # the registry has it
        docker("rmi", image)
        del registry.state.blobs["app", layer["digest"]]
        refused = docker.run("pull", image)
        assert refused.code == 1
        assert "other addresses, which are not asked" in refused.err
        assert elsewhere.state.seen == []
    eventually(lambda: stored(daemon) == before)
