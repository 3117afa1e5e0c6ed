"""Indexes: the platform is chosen, statements about images are none of them."""

from collections.abc import Iterator

import pytest

from support import images
from support.cli import Cli
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def add(registry: FakeRegistry, architecture: str) -> str:
    layer = images.layer([images.Entry("arch", architecture.encode())])
    return registry.add_simple_image("multi", architecture, [layer], architecture=architecture)


@pytest.fixture
def name(registry: FakeRegistry, docker: Cli) -> Iterator[str]:
    entries: list[dict[str, object]] = [
        {
            "digest": add(registry, "attestation"),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        }
    ]
    entries += [
        {"digest": add(registry, arch), "platform": {"os": "linux", "architecture": arch}}
        for arch in ("arm64", "amd64")
    ]
    registry.add_index("multi", "1", entries)
    name = f"{registry.host}/multi:1"
    yield name
    docker.run("rmi", "-f", name)


def test_the_platform_of_this_machine_is_pulled(docker: Cli, name: str) -> None:
    docker("pull", name)
    assert docker("inspect", "-f", "{{.Os}}/{{.Architecture}}", name) == "linux/amd64"


def test_another_platform_is_pulled_when_asked_for(docker: Cli, name: str) -> None:
    docker("pull", "--platform", "linux/arm64", name)
    assert docker("inspect", "-f", "{{.Architecture}}", name) == "arm64"


def test_a_platform_that_is_not_there_is_named_with_those_that_are(docker: Cli, name: str) -> None:
    failed = docker.run("pull", "--platform", "linux/s390x", name)
    assert "no matching manifest for linux/s390x in the manifest list entries" in failed.err
    assert "linux/amd64, linux/arm64" in failed.err


def test_the_digest_of_the_index_is_the_images_digest(
    docker: Cli, name: str, registry: FakeRegistry
) -> None:
    docker("pull", name)
    _, data = registry.state.manifests["multi", "1"]
    shown = docker("inspect", "-f", "{{index .RepoDigests 0}}", name)
    wanted = next(d for _, d in registry.state.manifests if ":" in d)
    assert wanted.startswith("sha256:")
    assert registry.state.manifests["multi", shown.partition("@")[2]][1] == data


def test_an_index_that_contains_itself_is_refused(docker: Cli, registry: FakeRegistry) -> None:
    inner = registry.add_index("loop", "0", [])
    for depth in range(1, 6):
        entry = {
            "digest": inner,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "platform": {"os": "linux", "architecture": "amd64"},
        }
        inner = registry.add_index("loop", str(depth), [entry])
    failed = docker.run("pull", f"{registry.host}/loop:5")
    assert "indexes are nested too deeply" in failed.err
