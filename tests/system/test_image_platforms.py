"""One name for several platforms: unpacked on demand, saved, loaded, pushed and removed singly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.cli import Cli
from support.daemon import Daemon
from support.layout import Layout, members
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("root", "overlayfs")
ARM = '{"os":"linux","architecture":"arm64"}'
INTEL = '{"os":"linux","architecture":"amd64"}'
PROVENANCE = "https://slsa.dev/provenance/v1"


class Many:
    """An archive with an index of two platforms and a statement about one of them."""

    def __init__(self, name: str) -> None:
        layout = Layout()
        self.intel = layout.image("intel", "amd64")
        self.arm = layout.image("arm", "arm64", "zstd")
        self.statement = {"predicateType": PROVENANCE, "predicate": {"builder": "me"}}
        stated = layout.add(
            json.dumps(self.statement).encode(),
            "application/vnd.in-toto+json",
            annotations={"in-toto.io/predicate-type": PROVENANCE},
        )
        document = {
            "schemaVersion": 2,
            "mediaType": self.intel["mediaType"],
            "config": layout.add(b"{}", "application/vnd.oci.image.config.v1+json"),
            "layers": [stated],
        }
        attestation = layout.add(
            json.dumps(document).encode(),
            self.intel["mediaType"],
            platform={"os": "unknown", "architecture": "unknown"},
            annotations={
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": self.intel["digest"],
            },
        )
        self.index = layout.index(self.arm, self.intel, attestation)
        self.blobs = {place for place in layout.files if place.startswith("blobs/")}
        self.archive = layout.archive(self.index, f"docker.io/library/{name}")


@pytest.fixture
def api(daemon: Daemon) -> Iterator[Any]:
    """The API of the shared daemon; images of a test go away after it."""
    yield daemon.api
    daemon.clean()
    for image in daemon.api.get("/images/json", all=True).ok().json():
        if "busybox:latest" not in image["RepoTags"]:
            daemon.api.delete(f"/images/{image['Id']}", force=True).ok(200, 404, 409)


def load(api: Any, archive: bytes, **query: object) -> None:
    api.request("POST", "/images/load", archive, query=query).ok()


def architecture(api: Any, name: str, **query: object) -> str:
    return str(api.get(f"/images/{name}/json", **query).ok().json()["Architecture"])


def available(api: Any, name: str) -> set[str]:
    found = api.get(f"/images/{name}/json", manifests=True).ok().json()["Manifests"]
    return {
        m["ImageData"]["Platform"]["architecture"]
        for m in found
        if m["Kind"] == "image" and m["Available"]
    }


@pytest.fixture(autouse=True)
def no_unnamed_images(api: Any) -> None:
    """Take away what builds of other tests have left without a name."""
    api.request("POST", "/build/prune", query={"all": "1"}).ok()
    api.post("/images/prune").ok()


def names(api: Any, name: str) -> list[Any]:
    listed = api.get("/images/json").ok().json()
    return [image for image in listed if not image["RepoTags"] or name in image["RepoTags"]]


def test_an_image_of_another_machine_is_warned_of_unless_it_was_asked_for(api: Any) -> None:
    many = Many("alien:1")
    load(api, many.archive, platform=ARM)
    body = {"Image": "alien:1", "Cmd": ["x"]}
    made = api.post("/containers/create", body).ok(201).json()
    mismatch = "platform (linux/arm64) does not match the detected host platform (linux/amd64)"
    said = f"The requested image's {mismatch} and no specific platform was requested"
    assert made["Warnings"] == [said]
    asked = api.request("POST", "/containers/create", body, query={"platform": "linux/arm64"})
    assert asked.ok(201).json()["Warnings"] == []


def test_a_platform_is_unpacked_when_a_container_needs_it(api: Any) -> None:
    many = Many("demand:1")
    load(api, many.archive)
    assert architecture(api, "demand:1") == "amd64"
    assert architecture(api, "demand:1", platform=ARM) == "arm64", "it can be looked at"
    assert api.get("/images/demand:1/history", platform=ARM).ok().json() == []
    body = {"Image": "demand:1", "Cmd": ["x"]}
    made = api.request(
        "POST", "/containers/create", body, query={"platform": "linux/arm64", "name": "arms"}
    ).ok(201)
    archive = api.request("GET", "/containers/arms/archive", query={"path": "/file"}).ok().body
    assert b"arm" * 100 in archive
    image = api.get(f"/containers/{made.json()['Id']}/json").ok().json()["Image"]
    assert api.get(f"/images/{image}/json").ok().json()["Architecture"] == "arm64"
    assert architecture(api, "demand:1") == "amd64"
    assert len(names(api, "demand:1")) == 1, "the platforms are one line"
    assert not api.post("/images/prune").ok().json()["ImagesDeleted"]
    missing = api.request("POST", "/containers/create", body, query={"platform": "linux/s390x"})
    assert missing.status == 404
    assert "does not provide the specified platform (linux/s390x)" in missing.message
    api.delete("/containers/arms").ok(204)
    gone = api.delete("/images/demand:1").ok().json()
    assert len([item for item in gone if item.get("Deleted", "") == image]) == 1
    assert not names(api, "demand:1")


def test_one_platform_is_removed_and_the_name_stays(api: Any, moor: Cli) -> None:
    many = Many("part:1")
    load(api, many.archive)
    assert available(api, "part:1") == {"amd64", "arm64"}
    said = moor("rmi", "--platform", "linux/amd64", "part:1")
    assert said == f"Deleted: {many.intel['digest']}"
    assert available(api, "part:1") == {"arm64"}
    assert architecture(api, "part:1") == "arm64", "another goes by the name"
    absent = api.delete("/images/part:1", platforms=INTEL)
    assert (absent.status, "does not provide" in absent.message) == (404, True)
    removed = api.delete("/images/part:1", platforms=ARM).ok().json()
    assert removed[0] == {"Untagged": "part:1"}
    assert not names(api, "part:1")


def test_a_platform_that_a_container_uses_is_kept(api: Any) -> None:
    load(api, Many("used:1").archive)
    api.post("/containers/create", {"Image": "used:1", "Cmd": ["x"]}, platform="linux/amd64").ok()
    refused = api.delete("/images/used:1", platforms=INTEL)
    assert refused.status == 409
    assert "image is being used by stopped container" in refused.message
    api.delete("/images/used:1", platforms=ARM).ok()
    assert available(api, "used:1") == {"amd64"}


def test_platforms_are_saved_and_loaded_singly(api: Any) -> None:
    many = Many("single:1")
    load(api, many.archive)
    both = api.get("/images/single:1/get", platform=f"[{ARM},{INTEL}]").ok().body
    held = members(both)
    assert f"blobs/sha256/{many.index['digest'][7:]}" in held, "the index keeps its digest"
    one = members(api.get("/images/single:1/get", platform=ARM).ok().body)
    assert f"blobs/sha256/{many.intel['digest'][7:]}" not in one
    assert f"blobs/sha256/{many.arm['digest'][7:]}" in one
    api.delete("/images/single:1").ok()
    load(api, both)
    assert available(api, "single:1") == {"amd64", "arm64"}
    api.delete("/images/single:1").ok()
    load(api, many.archive, platform=ARM)
    assert available(api, "single:1") == {"arm64"}
    absent = api.request(
        "POST",
        "/images/load",
        many.archive,
        query={"platform": '{"os":"linux","architecture":"mips"}'},
    )
    assert b"not found" in absent.body


def test_everything_or_one_platform_is_pushed(api: Any, docker: Cli) -> None:
    many = Many("pushed:1")
    load(api, many.archive)
    with FakeRegistry() as registry:
        name = f"{registry.host}/pushed"
        docker("tag", "pushed:1", f"{name}:all")
        docker("tag", "pushed:1", f"{name}:arm")
        docker("push", f"{name}:all")
        pushed = registry.state.manifests
        assert ("pushed", many.index["digest"]) in pushed
        assert {digest for _, digest in pushed} >= {many.arm["digest"], many.intel["digest"]}
        docker("push", "--platform", "linux/arm64", f"{name}:arm")
        assert json.loads(pushed["pushed", "arm"][1])["layers"][0]["mediaType"].endswith("+zstd")
        absent = docker.run("push", "--platform", "linux/s390x", f"{name}:arm")
        assert "does not provide the specified platform (linux/s390x)" in absent.err
        api.delete("/images/pushed:1", platforms=INTEL).ok()
        part = docker("push", f"{name}:all")
        assert "Not all multiplatform-content is present" in part


def test_the_tree_shows_the_platforms(api: Any, moor: Cli) -> None:
    many = Many("tree:1")
    load(api, many.archive)
    api.post("/containers/create", {"Image": "tree:1", "Cmd": ["x"]}).ok(201)
    lines = moor("images", "--tree", "tree:1").splitlines()
    assert lines[2].split() == ["IMAGE", "ID", "DISK", "USAGE", "CONTENT", "SIZE", "EXTRA"]
    assert lines[3].split()[0] == "tree:1"
    assert lines[3].split()[-1] == "U"
    assert lines[4].split()[:3] == ["├─", "linux/arm64", many.arm["digest"][7:19]]
    assert lines[5].split()[:3] == ["└─", "linux/amd64", many.intel["digest"][7:19]]
    assert [line.split()[-1] == "U" for line in lines[4:6]] == [False, True]


def test_statements_about_an_image_are_told(api: Any) -> None:
    many = Many("stated:1")
    load(api, many.archive)
    (told,) = api.get("/images/stated:1/attestations").ok().json()
    assert told["PredicateType"] == PROVENANCE
    assert "Statement" not in told
    (told,) = (
        api.get("/images/stated:1/attestations", statement=True, type=PROVENANCE, platform=INTEL)
        .ok()
        .json()
    )
    assert told["Statement"] == many.statement
    assert (
        api.get("/images/stated:1/attestations", type="https://spdx.dev/Document").ok().json() == []
    )
    assert api.get("/images/stated:1/attestations", platform=ARM).ok().json() == []
    wrong = '{"os":"linux","architecture":"s390x"}'
    assert api.get("/images/stated:1/attestations", platform=wrong).status == 404
    assert api.get("/images/none:1/attestations").status == 404
