"""One image through every engine: the same ids, digests, files, modes, owners, times and xattrs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import trees
from support.cli import Cli
from support.dockerregistry import docker_registry
from support.peers import Containers, containers, dockerd, skopeo
from support.trees import Member

pytestmark = [
    pytest.mark.requires("root", "overlayfs", "docker-registry", "skopeo"),
    pytest.mark.timeout(180),
]
NAME = "interchange:1"
WRITERS = ("podman", "buildah", "skopeo")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system of everything, as GNU tar packs it."""
    place = tmp_path_factory.mktemp("source")
    (place / "root").mkdir()
    trees.make(place / "root")
    for name, more in {"root.tar": [], "sparse.tar": ["--sparse"]}.items():
        subprocess.run(
            ["tar", *more, "--xattrs", "--xattrs-include=*", "--format=pax", "--numeric-owner",
             "-C", place / "root", "-cf", place / name, "."],
            check=True,
        )  # fmt: skip
    return place


@pytest.fixture(scope="module")
def wanted(source: Path) -> dict[str, Member]:
    return trees.members(source / "root")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def image(docker: Cli, source: Path) -> Iterator[str]:
    """The image in our daemon; the id."""
    yield docker("import", "-c", "CMD /usr/bin/busybox", source / "root.tar", NAME)
    docker.run("rmi", "-f", NAME)


def image_id(docker: Cli, name: str) -> str:
    return docker("inspect", "-f", "{{.Id}}", name)


def digest(reference: str) -> str:
    return skopeo(
        "inspect", "--format", "{{.Digest}}", "--tls-verify=false", f"docker://{reference}"
    )


def blobs(reference: str) -> list[str]:
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")
    manifest = json.loads(raw)
    return [blob["digest"] for blob in (manifest["config"], *manifest["layers"])]


@pytest.mark.parametrize("packed", ["root.tar", "sparse.tar"])
def test_what_was_packed_is_unpacked(
    docker: Cli, source: Path, wanted: dict[str, Member], tmp_path: Path, packed: str
) -> None:
    docker("import", source / packed, NAME)
    with trees.mounted(docker, NAME, tmp_path / "root") as root:
        trees.same(trees.members(root), wanted)
    docker("rmi", NAME)


def test_registry_and_skopeo_give_it_back_as_it_was(
    docker: Cli, image: str, registry: str, wanted: dict[str, Member], tmp_path: Path
) -> None:
    ours, copied = f"{registry}/ours:1", f"{registry}/copied:1"
    docker("tag", NAME, ours)
    docker("push", ours)
    skopeo(
        *("copy", "--src-tls-verify=false", "--dest-tls-verify=false"),
        *(f"docker://{ours}", f"docker://{copied}"),
    )
    assert digest(copied) == digest(ours)
    docker("rmi", "-f", ours, NAME)
    docker("pull", copied)
    assert image_id(docker, copied) == image
    with trees.mounted(docker, copied, tmp_path / "root") as root:
        trees.same(trees.members(root), wanted)
    docker("rmi", copied)


@pytest.mark.requires("dockerd")
def test_dockerd_gives_it_back_as_it_was(
    docker: Cli, image: str, registry: str, wanted: dict[str, Member], tmp_path: Path
) -> None:
    ours, theirs = f"{registry}/to-dockerd:1", f"{registry}/from-dockerd:1"
    docker("tag", NAME, ours)
    docker("push", ours)
    with dockerd() as peer:
        peer("pull", ours)
        assert image_id(peer, ours) == image
        peer("tag", ours, theirs)
        peer("push", theirs)
        assert blobs(theirs) == blobs(ours)
        peer("save", "-o", tmp_path / "theirs.tar", theirs)
        docker("save", "-o", tmp_path / "ours.tar", NAME)
        peer("rmi", "-f", ours, theirs)
        assert peer("load", "-i", tmp_path / "ours.tar") == f"Loaded image: {NAME}"
        assert image_id(peer, NAME) == image
    again = f"{registry}/again:1"
    docker("rmi", "-f", ours, NAME)
    docker("pull", theirs)
    docker("tag", theirs, again)
    docker("push", again)
    assert digest(again) == digest(theirs), "as it came, so it goes"
    docker("rmi", "-f", theirs, again)
    docker("load", "-i", tmp_path / "theirs.tar")
    assert image_id(docker, theirs) == image
    with trees.mounted(docker, theirs, tmp_path / "root") as root:
        trees.same(trees.members(root), wanted)
    docker("rmi", theirs)


@pytest.fixture
def peer() -> Iterator[Containers]:
    with containers() as found:
        yield found


@pytest.fixture
def names(docker: Cli, image: str, registry: str) -> tuple[str, str]:
    """The image at the registry, and where podman is to push it."""
    del image
    ours = f"{registry}/to-podman:1"
    docker("tag", NAME, ours)
    docker("push", ours)
    docker("rmi", ours)
    return ours, f"{registry}/from-podman:1"


@pytest.mark.requires("podman")
def test_podman_gives_it_back_as_it_was(
    docker: Cli, peer: Containers, names: tuple[str, str], wanted: dict[str, Member]
) -> None:
    ours, theirs = names
    image = image_id(docker, NAME)
    assert peer.podman("pull", "-q", "--tls-verify=false", ours) == image.removeprefix("sha256:")
    root = Path(peer.podman("image", "mount", ours))
    trees.same(trees.members(root), wanted)
    peer.podman("image", "unmount", ours)
    peer.podman("push", "-q", "--tls-verify=false", "--format=v2s2", ours, theirs)
    docker("rmi", "-f", image)
    docker("pull", theirs)
    assert image_id(docker, theirs) == image
    docker("rmi", "-f", theirs)


@pytest.mark.requires("podman", "buildah")
@pytest.mark.parametrize(
    "written",
    [f"{who} {form}" for who in WRITERS for form in ("docker-archive", "oci-archive")],
)
def test_an_archive_is_loaded_whoever_wrote_it(
    docker: Cli, peer: Containers, names: tuple[str, str], tmp_path: Path, written: str
) -> None:
    ours, theirs = names
    writer, form = written.split()
    wanted = inspected(docker, NAME)
    place = f"{form}:{tmp_path}/archive.tar"
    if writer == "skopeo":
        skopeo("copy", "--src-tls-verify=false", f"docker://{ours}", f"{place}:{theirs}")
    else:
        peer.podman("pull", "-q", "--tls-verify=false", ours)
    if writer == "podman":
        peer.podman("save", "-q", "--format", form, "-o", tmp_path / "archive.tar", ours)
    elif writer == "buildah":
        format_ = "v2s2" if form == "docker-archive" else "oci"
        peer.buildah("push", "-q", "--format", format_, ours, f"{place}:{theirs}")
    docker("rmi", "-f", NAME)
    loaded = docker("load", "-i", tmp_path / "archive.tar").splitlines()[-1].partition(": ")[2]
    try:
        assert inspected(docker, loaded) == wanted
    finally:
        docker("rmi", "-f", image_id(docker, loaded))


def inspected(docker: Cli, name: str) -> tuple[object, ...]:
    """What must be the same of an image, also after its configuration was written anew."""
    (found,) = json.loads(docker("inspect", name))
    return (
        found["RootFS"]["Layers"],
        found["Created"],
        found["Architecture"],
        found["Config"]["Cmd"],
    )
