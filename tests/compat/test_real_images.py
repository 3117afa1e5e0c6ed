"""Images of real programs through docker, podman, skopeo, buildah and a registry, and back.

They leave the daemon that built them and come back to another one that has never seen them: the
same ids, manifests, layers and files, with owners, modes, times, links and attributes.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from support import trees
from support.cli import Cli
from support.daemon import Daemon
from support.dockerregistry import docker_registry
from support.peers import Containers, containers, dockerd, skopeo
from support.programs import TIMEOUT_S, Programs, image_id
from support.trees import Member

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker", "mmdebstrap", "docker-registry", "skopeo"),
    pytest.mark.timeout(600),
]
PROGRAMS: Final = ("nginx", "redis", "python")
RICHEST: Final = "nginx"  # capabilities, hard links, a fifo, a device: alone on the slow ways
INSECURE: Final = ("--src-tls-verify=false", "--dest-tls-verify=false")


class Originals:
    """The images where they were built, and what must come back."""

    def __init__(self, real: Programs, registry: str, place: Path) -> None:
        self.registry = registry
        self.real = real
        self.ids: dict[str, str] = {}
        self.layers: dict[str, list[str]] = {}
        self.files: dict[str, dict[str, Member]] = {}
        for program in PROGRAMS:
            image = real.image(program)
            self.ids[program] = image_id(real.docker, image)
            self.layers[program] = layers(real.docker, image)
            with trees.mounted(real.docker, image, place / "root") as root:
                self.files[program] = trees.members(root)
            real.docker("tag", image, self.name(program))
            real.docker("push", "-q", self.name(program), timeout=TIMEOUT_S)

    def name(self, program: str, repository: str = "ours") -> str:
        """Return a name at the registry."""
        return f"{self.registry}/{repository}/{program}:1"

    def names(self, repository: str = "ours") -> list[str]:
        """Return those of all programs."""
        return [self.name(program, repository) for program in PROGRAMS]

    def came_back(
        self, client: Cli, name_of: Callable[[str], str], place: Path, *only: str
    ) -> None:
        """Demand that an engine has the images as they are; *name_of* gives their names there."""
        for program in only or PROGRAMS:
            image = name_of(program)
            assert layers(client, image) == self.layers[program]
            assert image_id(client, image) == self.ids[program]
            with trees.mounted(client, image, place / "root") as root:
                trees.same(trees.members(root), self.files[program])


def layers(client: Cli, image: str) -> list[str]:
    found: list[str] = json.loads(client("inspect", "-f", "{{json .RootFS.Layers}}", image))
    return found


def manifest(reference: str) -> bytes:
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}").encode()


def blobs(reference: str) -> list[str]:
    found = json.loads(manifest(reference))
    return [blob["digest"] for blob in (found["config"], *found["layers"])]


@pytest.fixture(scope="module")
def originals(real: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Originals]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield Originals(real, host, tmp_path_factory.mktemp("originals"))


@pytest.fixture
def elsewhere(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Cli:
    """A client of a daemon of ours that has no image."""
    return Cli("docker", make_daemon(flags=["--bridge=none"]).start().socket, tmp_path)


def test_registry_and_skopeo(originals: Originals, elsewhere: Cli, tmp_path: Path) -> None:
    for program in PROGRAMS:
        name, copied = originals.name(program), originals.name(program, "skopeo")
        skopeo("copy", "-q", *INSECURE, f"docker://{name}", f"docker://{copied}")
        assert manifest(copied) == manifest(name)
        elsewhere("pull", "-q", copied, timeout=TIMEOUT_S)
        again = originals.name(program, "again")
        elsewhere("tag", copied, again)
        elsewhere("push", "-q", again, timeout=TIMEOUT_S)
        assert manifest(again) == manifest(name), "as it came, so it goes"
    originals.came_back(elsewhere, partial(originals.name, repository="skopeo"), tmp_path)


@pytest.mark.requires("dockerd")
def test_dockerd(originals: Originals, elsewhere: Cli, tmp_path: Path) -> None:
    """Pulled, pushed, saved by dockerd, and loaded from our archive."""
    archive = tmp_path / "archive.tar"
    with dockerd("overlay2") as peer:
        for program in PROGRAMS:
            name, theirs = originals.name(program), originals.name(program, "dockerd")
            peer("pull", "-q", name, timeout=TIMEOUT_S)
            peer("tag", name, theirs)
            peer("push", "-q", theirs, timeout=TIMEOUT_S)
            assert blobs(theirs) == blobs(name)
        originals.came_back(peer, originals.name, tmp_path)
        peer("save", "-o", archive, *originals.names("dockerd"), timeout=TIMEOUT_S)
        peer("rmi", "-f", *originals.ids.values())
        elsewhere("load", "-q", "-i", archive, timeout=TIMEOUT_S)
        originals.came_back(elsewhere, partial(originals.name, repository="dockerd"), tmp_path)
        elsewhere("rmi", "-f", *originals.ids.values())
        elsewhere("pull", "-q", originals.name("nginx", "dockerd"), timeout=TIMEOUT_S)
        assert image_id(elsewhere, originals.name("nginx", "dockerd")) == originals.ids["nginx"]
        originals.real.docker("save", "-o", archive, *originals.names(), timeout=TIMEOUT_S)
        peer("load", "-q", "-i", archive, timeout=TIMEOUT_S)
        originals.came_back(peer, originals.name, tmp_path)


@pytest.fixture
def peer() -> Iterator[Containers]:
    with containers("overlay") as found:
        yield found


@pytest.mark.requires("podman", "buildah")
def test_podman_and_buildah(
    originals: Originals, peer: Containers, elsewhere: Cli, tmp_path: Path
) -> None:
    archive = tmp_path / "archive.tar"
    push = ("push", "-q", "--tls-verify=false", "--format", "v2s2")
    for program in PROGRAMS:
        name = originals.name(program)
        pulled = peer.podman("pull", "-q", "--tls-verify=false", name)
        assert f"sha256:{pulled}" == originals.ids[program]
        root = Path(peer.podman("image", "mount", name))
        trees.same(trees.members(root), originals.files[program])
        peer.podman("image", "unmount", name)
        peer.podman(*push, name, originals.name(program, "podman"))
        elsewhere("pull", "-q", originals.name(program, "podman"), timeout=TIMEOUT_S)
    originals.came_back(elsewhere, partial(originals.name, repository="podman"), tmp_path)
    elsewhere("rmi", "-f", *originals.ids.values())
    name = originals.name(RICHEST)
    peer.buildah(*push, name, f"docker-archive:{archive}:{RICHEST}:buildah")
    elsewhere("load", "-q", "-i", archive, timeout=TIMEOUT_S)
    originals.came_back(elsewhere, "{}:buildah".format, tmp_path, RICHEST)
    elsewhere("rmi", "-f", originals.ids[RICHEST])
    archive.unlink()
    peer.podman("save", "-q", "-o", archive, name)
    elsewhere("load", "-q", "-i", archive, timeout=TIMEOUT_S)
    originals.came_back(elsewhere, originals.name, tmp_path, RICHEST)
    archive.unlink()
    originals.real.docker("save", "-o", archive, name, timeout=TIMEOUT_S)
    peer.podman("rmi", "-f", "-a")
    peer.podman("load", "-q", "-i", archive)
    found = peer.podman("image", "inspect", "--format", "{{.Id}}", name)
    assert f"sha256:{found}" == originals.ids[RICHEST]


def test_layouts_and_archives_of_skopeo(
    originals: Originals, elsewhere: Cli, tmp_path: Path
) -> None:
    """OCI layout and docker-archive written by skopeo; our archive read by it as both."""
    layout = tmp_path / "layout"
    for program in PROGRAMS:
        source = f"docker://{originals.name(program)}"
        skopeo("copy", "-q", *INSECURE, "--format", "oci", source, f"oci:{layout}:{program}:oci")
    with tarfile.open(tmp_path / "layout.tar", "w") as tar:
        tar.add(layout, ".")
    elsewhere("load", "-q", "-i", tmp_path / "layout.tar", timeout=TIMEOUT_S)
    originals.came_back(elsewhere, "{}:oci".format, tmp_path)
    elsewhere("rmi", "-f", *originals.ids.values())
    name, archive = originals.name(RICHEST), tmp_path / "archive.tar"
    place = f"docker-archive:{archive}:{RICHEST}:archive"
    skopeo("copy", "-q", *INSECURE, f"docker://{name}", place)
    elsewhere("load", "-q", "-i", archive, timeout=TIMEOUT_S)
    originals.came_back(elsewhere, "{}:archive".format, tmp_path, RICHEST)
    originals.real.docker("save", "-o", archive, name, timeout=TIMEOUT_S)
    for image in (f"docker-archive:{archive}:{name}", f"oci-archive:{archive}"):
        found = json.loads(skopeo("inspect", "--raw", image))
        assert found["config"]["digest"] == originals.ids[RICHEST]
