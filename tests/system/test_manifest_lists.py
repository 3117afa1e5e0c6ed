"""``moor manifest`` beside ``docker manifest``: the same files, the same words, the same bytes."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cli import Cli, Result
from support.daemon import BIN
from support.dockerregistry import docker_registry
from support.layout import Layout

pytestmark = pytest.mark.requires("docker-registry", "skopeo", "docker")
FORMATS = {"docker": "v2s2", "oci": "oci"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with an image for each of two platforms, as docker's and as OCI's manifests."""
    root = tmp_path_factory.mktemp("registry")
    with docker_registry(root) as host:
        for architecture in ("amd64", "arm64"):
            layout = Layout()
            archive = root / f"{architecture}.tar"
            archive.write_bytes(layout.archive(layout.image(architecture, architecture), "i"))
            for kind, option in FORMATS.items():
                subprocess.run(
                    ["skopeo", "copy", "-q", "--dest-tls-verify=false", "--format", option,
                     f"oci-archive:{archive}", f"docker://{host}/{kind}:{architecture}"],
                    check=True,
                )  # fmt: skip
        yield host


@pytest.fixture
def clients(tmp_path: Path) -> dict[str, Cli]:
    """Both clients, each with a directory of its own, and no daemon."""
    programs = {"docker": "docker", "moor": str(BIN / "moor")}
    return {name: Cli(p, tmp_path / "none", tmp_path / name) for name, p in programs.items()}


Both = Callable[..., Result]


@pytest.fixture
def both(clients: dict[str, Cli], tmp_path: Path) -> Both:
    """Run one command line with both clients; what they say and keep must be equal."""

    def run(verb: str, *words: str) -> Result:
        docker, moor = (clients[n].run("manifest", verb, *words) for n in ("docker", "moor"))
        assert (moor.code, moor.out, moor.err) == (docker.code, docker.out, docker.err)
        assert kept(tmp_path / "moor") == kept(tmp_path / "docker")
        return moor

    return run


def kept(home: Path) -> dict[str, object]:
    root = home / ".docker" / "manifests"
    return {str(f.relative_to(root)): json.loads(f.read_text()) for f in root.glob("*/*")}


def remote(reference: str) -> dict[str, object]:
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"],
        check=True,
        capture_output=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", list(FORMATS))
def test_a_list_is_made_annotated_pushed_and_forgotten(
    both: Both, registry: str, kind: str
) -> None:
    target = f"{registry}/{kind}:all"
    amd, arm = f"{registry}/{kind}:amd64", f"{registry}/{kind}:arm64"
    assert both("create", "--insecure", target, amd).out == f"Created manifest list {target}\n"
    assert "no --amend flag" in both("create", "--insecure", target, arm).err
    both("create", "--insecure", "--amend", target, arm).ok()
    both("annotate", "--variant", "v8", "--os-features", "a,b", target, arm).ok()
    assert '"variant": "v8"' in both("inspect", target).ok().out
    both("inspect", target, arm).ok()
    both("inspect", "-v", target).ok()
    pushed = both("push", "--insecure", "--purge", target).ok().out
    assert pushed.startswith("sha256:")
    there = remote(target)
    assert json.dumps(there["manifests"]).count('"architecture"') == 2
    both("inspect", "--insecure", target).ok()
    both("inspect", "--insecure", "-v", target).ok()
    assert both("push", "--insecure", target).code == 1
    assert "is a manifest list" in both("create", "--insecure", f"{target}2", target).err


def test_manifests_of_another_repository_are_brought_along(
    clients: dict[str, Cli], registry: str
) -> None:
    source = f"{registry}/docker:amd64"
    said = {}
    for name, client in clients.items():
        target = f"{registry}/brought-{name}"
        client("manifest", "create", "--insecure", target, source)
        said[name] = client("manifest", "push", "--insecure", target).replace(name, "CLIENT")
        (entry,) = json.loads(client("manifest", "inspect", target))["manifests"]
        assert remote(f"{target}@{entry['digest']}") == remote(source)
        assert f"with digest: {entry['digest']}" in said[name]
    assert said["moor"] == said["docker"]


def test_what_cannot_be_is_refused_in_dockers_words(both: Both, registry: str) -> None:
    target, amd = f"{registry}/docker:wrong", f"{registry}/docker:amd64"
    assert both("create", "--insecure", target, f"{registry}/docker:none").code == 1
    assert both("create", "BAD//", amd).code == 1
    assert both("push", "absent").code == 1
    assert both("rm", "absent").code == 1
    assert both("annotate", "absent", amd).code == 1
    both("create", "--insecure", target, amd).ok()
    assert both("annotate", "--os", "linux", "--arch", "odd", target, amd).code == 1
    assert both("annotate", target, f"{registry}/docker:arm64").code == 1
    assert both("inspect", target, f"{registry}/docker:arm64").code == 1
    assert both("rm", target).code == 0
    both("create", "--insecure", "127.0.0.1:1/other:1", amd).ok()
    assert "different registry" in both("push", "--insecure", "127.0.0.1:1/other:1").err


def test_the_two_clients_take_turns_at_one_list(tmp_path: Path, registry: str) -> None:
    programs = ("docker", str(BIN / "moor"))
    docker, moor = (Cli(program, tmp_path / "none", tmp_path) for program in programs)
    target = f"{registry}/docker:shared"
    docker("manifest", "create", "--insecure", target, f"{registry}/docker:amd64")
    moor("manifest", "create", "--insecure", "--amend", target, f"{registry}/docker:arm64")
    assert moor("manifest", "inspect", target) == docker("manifest", "inspect", target)
    moor("manifest", "push", "--insecure", "-p", target)
    assert docker.run("manifest", "push", "--insecure", target).code == 1


def test_a_manifest_that_was_tampered_with_is_not_pushed(tmp_path: Path, registry: str) -> None:
    moor = Cli(str(BIN / "moor"), tmp_path / "none", tmp_path)
    target = f"{registry}/tampered:1"
    moor("manifest", "create", "--insecure", target, f"{registry}/docker:amd64")
    (file,) = (tmp_path / ".docker" / "manifests").glob("*/*")
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "Raw": "e30="}))
    assert "is damaged" in moor.run("manifest", "push", "--insecure", target).err
    file.write_text("{")
    assert "not JSON" in moor.run("manifest", "push", "--insecure", target).err
    moor("manifest", "rm", target)
