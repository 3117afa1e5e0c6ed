"""Pull and push against Debian's docker-registry, with skopeo as the other client."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import images
from support.api import Api
from support.cli import Cli
from support.daemon import Daemon
from support.dockerregistry import docker_registry

pytestmark = pytest.mark.requires("root", "docker-registry", "skopeo")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def image(daemon: Daemon, docker: Cli, registry: str) -> Iterator[str]:
    """A small image of three layers, loaded under a name at the registry."""
    name = f"{registry}/team/app:1"
    layers = [images.layer([images.Entry(f"file{n}", bytes([n]) * 5000)]) for n in range(3)]
    daemon.load(images.docker_archive(layers, tags=[name], config={"Labels": {"a": "b"}}))
    yield name
    docker.run("rmi", "-f", name)


def remote(reference: str) -> dict[str, object]:
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"],
        check=True,
        capture_output=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def digest(docker: Cli, name: str) -> str:
    found = json.loads(docker("inspect", "-f", "{{json .RepoDigests}}", name))
    return str(next(d for d in found if d.startswith(name.rpartition(":")[0]))).partition("@")[2]


def forget(docker: Cli, *names: str) -> None:
    for name in names:
        docker.run("rmi", "-f", name)


def test_push_and_pull_give_the_same_image_and_digest(docker: Cli, image: str) -> None:
    before = docker("inspect", "-f", "{{.Id}}", image)
    pushed = docker("push", image)
    assert "The push refers to repository [127.0.0.1:" in pushed
    assert pushed.splitlines()[-1].startswith("1: digest: sha256:")
    assert pushed.count("Preparing") == 3  # once for each layer
    manifest = remote(image)
    layers = manifest["layers"]
    assert isinstance(layers, list)
    assert all(layer["mediaType"].endswith("gzip") for layer in layers)
    name = digest(docker, image)
    docker("rmi", image)
    pulled = docker("pull", image)
    assert "1: Pulling from team/app" in pulled
    assert f"Digest: {name}" in pulled
    assert f"Status: Downloaded newer image for {image}" in pulled
    assert docker("inspect", "-f", "{{.Id}}", image) == before
    again = docker("push", image)
    assert again.count("Layer already exists") == 3
    assert digest(docker, image) == name


def test_a_second_pull_is_up_to_date_and_fetches_nothing(docker: Cli, image: str) -> None:
    docker("push", image)
    docker("rmi", image)
    docker("pull", image)
    assert docker("pull", image).splitlines() == [
        "1: Pulling from team/app",
        f"Digest: {digest(docker, image)}",
        f"Status: Image is up to date for {image}",
        image,
    ]


def test_a_pull_tells_every_state_a_layer_has_been_in(docker: Cli, api: Api, image: str) -> None:
    """However short it was: clients count them."""
    docker("push", image)
    docker("rmi", image)
    told = api.post("/images/create", fromImage=image).ok().lines()
    states: dict[str, list[str]] = {}
    for line in told:
        if "progressDetail" in line:
            states.setdefault(line["id"], []).append(line["status"])
    assert states
    for passed in states.values():
        unique = [s for s in dict.fromkeys(passed) if s not in {"Waiting", "Downloading"}]
        assert [s for s in unique if s != "Extracting"] == [
            "Pulling fs layer",
            "Verifying Checksum",
            "Download complete",
            "Pull complete",
        ]


def test_pull_by_digest(docker: Cli, image: str) -> None:
    docker("push", image)
    by_digest = f"{image.removesuffix(':1')}@{digest(docker, image)}"
    docker("rmi", "-f", docker("inspect", "-f", "{{.Id}}", image))
    text = docker("pull", by_digest)
    assert f"Status: Downloaded newer image for {by_digest}" in text
    assert docker("inspect", "-f", "{{json .RepoTags}}", by_digest) == "[]"
    forget(docker, by_digest)


def test_all_tags_are_pushed_and_pulled(docker: Cli, image: str) -> None:
    repository = image.removesuffix("app:1") + "many"
    names = [f"{repository}:{tag}" for tag in ("a", "b", "c")]
    for name in names:
        docker("tag", image, name)
    docker("push", "-a", repository)
    forget(docker, *names)
    text = docker("pull", "-a", repository)
    assert [line for line in text.splitlines() if "Pulling from" in line] == [
        f"{tag}: Pulling from team/many" for tag in ("a", "b", "c")
    ]
    listed = docker("images", "--format", "{{.Tag}}", repository)
    assert sorted(listed.split()) == ["a", "b", "c"]
    forget(docker, *names)


def test_a_blob_of_a_neighbour_repository_is_mounted(docker: Cli, image: str) -> None:
    docker("push", image)
    other = image.replace("team/app", "team/other")
    docker("tag", image, other)
    assert docker("push", other).count("Mounted from team/app") == 3
    assert remote(other) == remote(image)
    forget(docker, other)


def test_what_is_not_there_is_said_in_dockers_words(docker: Cli, registry: str) -> None:
    missing = docker.run("pull", f"{registry}/no/such:thing")
    assert missing.code == 1
    assert missing.err.strip() == (
        f"Error response from daemon: manifest for {registry}/no/such:thing not found:"
        " manifest unknown: manifest unknown"
    )
    unknown = docker.run("push", f"{registry}/no/such:thing")
    assert unknown.out == f"The push refers to repository [{registry}/no/such]\n"
    assert unknown.err == (f"An image does not exist locally with the tag: {registry}/no/such\n")
    refused = docker.run("pull", "127.0.0.1:1/x:y")
    assert "connect: connection refused" in refused.err


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_images_of_skopeo_keep_their_digest(
    docker: Cli, registry: str, tmp_path: Path, compression: str, form: str
) -> None:
    if (compression, form) == ("zstd", "v2s2"):
        pytest.skip("schema 2 knows no zstd")
    layer = images.layer([images.Entry("bin/tool", b"#!/bin/sh\n" * 500, mode=0o4755, uid=7)])
    archive = tmp_path / "image.tar"
    archive.write_bytes(images.docker_archive([layer], tags=["x:1"]))
    source, target = f"{registry}/skopeo/{form}-{compression}:1", f"{registry}/again/{form}:1"
    flags = ["--dest-tls-verify=false", "--format", form]
    flags += ["--dest-compress-format", compression] if compression != "none" else []
    if compression == "none":
        flags.append("--dest-decompress")
        subprocess.run(
            ["skopeo", "copy", "--format", form, "--dest-decompress",
             f"docker-archive:{archive}", f"dir:{tmp_path}/plain"],
            check=True, capture_output=True,
        )  # fmt: skip
        origin = f"dir:{tmp_path}/plain"
        flags = ["--dest-tls-verify=false", "--preserve-digests"]
    else:
        origin = f"docker-archive:{archive}"
    subprocess.run(
        ["skopeo", "copy", *flags, origin, f"docker://{source}"], check=True, capture_output=True
    )
    docker("pull", source)
    if compression != "none":  # what is not compressed is pushed compressed
        docker("tag", source, target)
        docker("push", target)
        assert digest(docker, target) == digest(docker, source)
        assert remote(target) == remote(source)
        forget(docker, target)
    forget(docker, source)


def test_a_tag_that_is_not_there_is_told_from_a_repository_that_is_not(
    docker: Cli, moor: Cli, image: str
) -> None:
    other = f"{image.rpartition(':')[0]}:2"
    for client in (docker, moor):
        assert client.run("push", other).err == f"tag does not exist: {other}\n"
    assert moor.run("pull", f"{image}:2").err == "invalid reference format\n"
