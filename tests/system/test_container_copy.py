"""``cp`` through the API: paths resolve inside the container, whatever its links say."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support.api import Api, Response
from support.images import Entry, layer, symlink

pytestmark = pytest.mark.requires("root", "overlayfs")
SETUP = """
    mkdir -p /x/y; echo 1 > /x/y/f; ln -s /x /link; ln -s /etc/passwd /passwd
    ln -s ../../../../../../../../etc/hostname /escape; ln -s / /root-link; echo ready
    trap 'exit 0' TERM; while :; do sleep 0.05; done
"""


@pytest.fixture(params=["running", "stopped"])
def container(request: pytest.FixtureRequest, api: Api) -> str:
    host = {"Binds": ["data:/data", "data:/frozen:ro"]}
    container_id = c.run(api, "sh", "-c", SETUP, host=host)
    c.until(lambda: "ready" in c.output(api, container_id))
    if request.param == "stopped":
        api.post(f"/containers/{container_id}/stop", t=5).ok()
    return container_id


def put(api: Api, container_id: str, path: str, archive: bytes, **query: object) -> Response:
    target = f"/containers/{container_id}/archive"
    return api.request("PUT", target, archive, query={"path": path, **query})


def fetch(api: Api, container_id: str, path: str) -> Response:
    return api.request("GET", f"/containers/{container_id}/archive", query={"path": path})


def get(api: Api, container_id: str, path: str) -> dict[str, bytes | None]:
    answer = fetch(api, container_id, path).ok()
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        return {
            member.name: archive.extractfile(member).read() if member.isreg() else None  # type: ignore[union-attr]
            for member in archive
        }


def test_files_go_in_and_come_out(api: Api, container: str) -> None:
    archive = layer([Entry("new", b"content", uid=1000), Entry("sub/deep", b"deep")])
    put(api, container, "/x", archive).ok()
    assert get(api, container, "/x/new") == {"new": b"content"}
    assert get(api, container, "/x/sub") == {"sub": None, "sub/deep": b"deep"}
    assert get(api, container, "/link/y/f") == {"f": b"1\n"}
    put(api, container, "/link", gzip.compress(layer([Entry("zipped", b"z")]))).ok()
    assert get(api, container, "/x/zipped") == {"zipped": b"z"}
    put(api, container, "/data", layer([Entry("kept", b"k")])).ok()
    assert get(api, container, "/frozen/kept") == {"kept": b"k"}


def test_what_a_path_is(api: Api, container: str) -> None:
    def stat(path: str) -> Any:
        url = f"/containers/{container}/archive"
        answer = api.request("HEAD", url, query={"path": path}).ok()
        return json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))

    assert stat("/x/y/f") | {"mtime": ""} == {
        "name": "f",
        "size": 2,
        "mode": 0o644,
        "mtime": "",
        "linkTarget": "",
    }
    link = stat("/link")
    assert (link["mode"] >> 27 & 1, link["linkTarget"]) == (1, "/x")
    assert stat("/x/")["mode"] >> 31 == 1
    assert stat("/escape")["linkTarget"] == "/etc/hostname"


def test_links_lead_nowhere_but_inside(api: Api, container: str) -> None:
    host_name = Path("/etc/hostname").read_bytes()
    for path in ("/escape/", "/root-link/etc/hostname", "/../../etc/hostname"):
        answer = fetch(api, container, path)
        assert answer.status in {200, 400, 404, 500}
        assert answer.status != 200 or host_name.strip() not in answer.body
    hostile = layer([symlink("out", "/"), Entry("out/etc/planted", b"x")])
    put(api, container, "/x", hostile)
    assert not Path("/etc/planted").exists()
    dots = layer([Entry("../../../../../../tmp/planted", b"x")])
    put(api, container, "/x", dots)
    assert not Path("/tmp/planted").exists()
    names = get(api, container, "/passwd")
    assert list(names) == ["passwd"]
    assert names["passwd"] is None, "a link is copied as a link"


def test_refusals(api: Api, container: str) -> None:
    missing = fetch(api, container, "/nosuch")
    assert missing.status == 404
    assert missing.message == f"Could not find the file /nosuch in container {container}"
    assert api.get(f"/containers/{container}/archive").status == 400
    archive = layer([Entry("a", b"x")])
    assert put(api, container, "/nosuch", archive).status == 404
    no_directory = put(api, container, "/x/y/f", archive)
    assert (no_directory.status, no_directory.message) == (
        400,
        "extraction point is not a directory",
    )
    frozen = put(api, container, "/frozen", archive)
    assert (frozen.status, frozen.message) == (403, "mounted volume is marked read-only")
    assert put(api, container, "/x", b"no archive at all" * 100).status == 400
    clash = layer([Entry("y", b"a file now")])
    assert put(api, container, "/x", clash, noOverwriteDirNonDir=True).status in {400, 409}
    assert get(api, container, "/x/y/f") == {"f": b"1\n"}


def test_the_owner_of_what_is_copied(api: Api) -> None:
    container_id = c.sleeper(api, User="tester")
    archive = layer([Entry("mine", b"x", uid=55, gid=66)])
    put(api, container_id, "/tmp", archive, copyUIDGID=True).ok()
    put(api, container_id, "/", archive).ok()
    said = c.exec_(api, container_id, "stat", "-c", "%u %g", "/tmp/mine", "/mine")[1]
    assert said.splitlines() == ["1000 1000", "55 66"]


def test_a_read_only_root_takes_nothing_but_on_volumes(api: Api) -> None:
    host = {"ReadonlyRootfs": True, "Binds": ["data:/data"]}
    container_id = c.sleeper(api, host=host)
    archive = layer([Entry("a", b"x")])
    refused = put(api, container_id, "/etc", archive)
    assert (refused.status, refused.message) == (403, "container rootfs is marked read-only")
    put(api, container_id, "/data", archive).ok()


def test_f1_programs_of_the_container_never_unpack_for_us(api: Api) -> None:
    """CVE-2026-41567: a decompressor is not looked up where the container can put one."""
    fake = b"#!/bin/sh\ntouch /pwned\nexec cat\n"
    container_id = c.sleeper(api)
    names = ("gunzip", "unpigz", "xz", "unxz", "bunzip2", "zstd", "tar")
    planted = [Entry(f"{place}/{n}", fake, mode=0o755) for n in names for place in ("bin", "sbin")]
    put(api, container_id, "/", layer(planted)).ok()
    put(api, container_id, "/tmp", gzip.compress(layer([Entry("a", b"x")]))).ok()
    assert c.exec_(api, container_id, "ls", "/pwned")[0] != 0


def test_f4_a_directory_swapped_for_a_link_meanwhile_leads_nowhere(api: Api) -> None:
    """CVE-2018-15664: the race between looking at a path and using it."""
    swap = """
        mkdir -p /a /stash; ln -s / /b
        while :; do mv /a /stash/t; mv /b /a; mv /stash/t /b; done 2>/dev/null
    """
    container_id = c.run(api, "sh", "-c", swap)
    archive = layer([Entry("planted-by-cp", b"x")])
    threads = [
        threading.Thread(target=put, args=(api, container_id, "/a/tmp", archive)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(15):
        put(api, container_id, "/a", archive)
    for thread in threads:
        thread.join()
    assert not Path("/planted-by-cp").exists()
    assert not Path("/tmp/planted-by-cp").exists()


def test_export_and_changes(api: Api) -> None:
    script = "echo x > /new; rm /etc/group; echo y >> /etc/passwd; mkdir /d"
    container_id = c.run(api, "sh", "-c", script)
    c.wait(api, container_id)
    changes = {e["Path"]: e["Kind"] for e in api.get(f"/containers/{container_id}/changes").json()}
    assert changes == {"/etc": 0, "/etc/group": 2, "/etc/passwd": 0, "/new": 1, "/d": 1}
    untouched = c.create(api)
    assert api.get(f"/containers/{untouched}/changes").json() is None
    answer = api.get(f"/containers/{container_id}/export").ok()
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        names = set(archive.getnames())
    assert {"new", "d", "etc/passwd", "bin/busybox"} <= names
    assert "etc/group" not in names


def test_a_file_is_mounted_on_a_file_before_the_first_start(api: Api, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("of the host")
    host = {"Binds": [f"{tmp_path}/note:/new/place/note"]}
    container_id = c.create(api, "cat", "/new/place/note", host=host)
    assert get(api, container_id, "/new/place/note") == {"note": b"of the host"}
    api.post(f"/containers/{container_id}/start").ok(204)
    assert c.wait(api, container_id) == 0
    assert c.output(api, container_id) == "of the host"


def test_a_mount_that_cannot_be_is_said_in_words(api: Api, tmp_path: Path) -> None:
    container_id = c.create(api, host={"Binds": [f"{tmp_path}:/etc/passwd/below"]})
    refused = fetch(api, container_id, "/etc/group")
    assert (refused.status, refused.message) == (
        500,
        "cannot mount /etc/passwd/below: not a directory",
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_missing_path_is_told_before_a_missing_container(api: Api, method: str) -> None:
    target = "/containers/nosuch/archive"
    assert api.request(method, target).status == 400
    assert api.request(method, target, query={"path": "/"}).status == 404
