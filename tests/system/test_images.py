"""Images through the API: archives in and out, names, removal with Docker's rules, accounting."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support import images
from support.api import Response
from support.daemon import Daemon
from support.layout import Layout, members, pack

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def api(daemon: Daemon) -> Iterator[Any]:
    """The API of the shared daemon, with no image but busybox before a test and after it."""
    _remove_images(daemon.api)
    yield daemon.api
    daemon.clean()
    _remove_images(daemon.api)


def _remove_images(api: Any) -> None:
    """Remove all images but busybox, which other tests run, and the layers that builds keep."""
    kept = api.get("/images/busybox/json").ok().json()["Id"]
    for image in api.get("/images/json", all=True).ok().json():
        if image["Id"] != kept:
            api.delete(f"/images/{image['Id']}", force=True).ok(200, 404, 409)
    api.post("/build/prune", all=True).ok()


def load(api: Any, archive: bytes, **query: object) -> Response:
    answer: Response = api.request("POST", "/images/load", archive, query=query)
    return answer


def refusal(answer: Response) -> str:
    """Return why nothing was loaded: it is told as the last line, for the status is 200 as ever."""
    line = answer.ok(200).lines()[-1]
    assert line["errorDetail"]["message"] == line["error"]
    why: str = line["error"]
    return why


def make(text: str, *tags: str, config: Mapping[str, object] | None = None) -> bytes:
    """Return an archive of one image of its own."""
    layer = images.layer([images.Entry("file", text.encode() * 100)])
    return images.docker_archive([layer], tags=tags, config=config)


def rename(files: dict[str, bytes], name: str) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b"bad:1", name.encode())


# --- archives -----------------------------------------------------------------------------------


def test_save_and_load_give_the_same_image_and_the_same_bytes(api: Any) -> None:
    load(api, make("one", "round:trip")).ok()
    before = api.get("/images/round:trip/json").ok().json()
    saved = api.get("/images/round:trip/get").ok().body
    assert {"oci-layout", "index.json", "manifest.json"} <= set(members(saved))
    assert api.get("/images/round:trip/get").ok().body == saved
    api.delete("/images/round:trip").ok()
    lines = load(api, saved).ok().lines()
    assert lines == [{"stream": "Loaded image: round:trip\n"}]
    after = api.get("/images/round:trip/json").ok().json()
    assert (after["Id"], after["RootFS"], after["Descriptor"]) == (
        before["Id"],
        before["RootFS"],
        before["Descriptor"],
    )


def test_a_load_that_is_not_quiet_tells_how_far_each_layer_is(api: Any) -> None:
    lines = load(api, make("shown", "shown:1"), quiet=False).ok().lines()
    assert lines[-1] == {"stream": "Loaded image: shown:1\n"}
    last = lines[-2]
    assert (last["status"], len(last["id"])) == ("Loading layer", 12)
    assert last["progressDetail"]["current"] == last["progressDetail"]["total"] > 0
    assert last["progress"].startswith("[====")


def test_several_images_and_names_go_into_one_archive(api: Any) -> None:
    load(api, make("one", "multi:1", "multi:one")).ok()
    load(api, make("two", "other.example/multi:2")).ok()
    query = {"names": "multi"}
    saved = api.request("GET", "/images/get", query=query).ok().body
    manifest = json.loads(members(saved)["manifest.json"])
    assert sorted(manifest[0]["RepoTags"]) == ["multi:1", "multi:one"]
    saved = api.get("/images/other.example/multi:2/get").ok().body
    assert [item["RepoTags"] for item in json.loads(members(saved)["manifest.json"])] == [
        ["other.example/multi:2"]
    ]


@pytest.mark.parametrize("packer", ["gzip", "zstd", ""])
def test_an_oci_layout_keeps_its_manifest_byte_by_byte(api: Any, packer: str) -> None:
    layout = Layout()
    entry = layout.image("oci", "amd64", packer)
    load(api, layout.archive(entry, "docker.io/library/oci:1")).ok()
    assert api.get("/images/oci:1/json").ok().json()["Descriptor"]["digest"] == entry["digest"]
    saved = members(api.get("/images/oci:1/get").ok().body)
    for place, data in layout.files.items():
        if place.startswith("blobs/"):
            assert saved[place] == data


def test_an_index_keeps_all_its_platforms(api: Any) -> None:
    layout = Layout()
    ours, theirs = layout.image("ours", "amd64"), layout.image("theirs", "arm64", "")
    attestation = layout.image("statement", "unknown")
    attestation["platform"] = {"os": "unknown", "architecture": "unknown"}
    index = layout.index(theirs, attestation, ours)
    load(api, layout.archive(index, "docker.io/library/many:1")).ok()
    shown = api.get("/images/many:1/json", manifests=True).ok().json()
    assert shown["Architecture"] == "amd64"
    kinds = {m["ID"]: (m["Kind"], m["Available"]) for m in shown["Manifests"]}
    assert kinds[ours["digest"]] == ("image", True)
    assert kinds[theirs["digest"]] == ("image", True)
    assert kinds[attestation["digest"]][0] == "attestation"
    saved = members(api.get("/images/many:1/get").ok().body)
    assert set(saved) >= {place for place in layout.files if place.startswith("blobs/")} - {
        f"blobs/sha256/{attestation['digest'][7:]}"
    }
    only = api.get("/images/many:1/get", platform='{"os":"linux","architecture":"arm64"}').ok()
    assert ours["digest"][7:] not in "".join(members(only.body))
    wrong = api.get("/images/many:1/get", platform='{"os":"linux","architecture":"s390x"}')
    assert wrong.status == 404


def test_a_name_taken_by_a_load_is_taken_from_the_old_image(api: Any) -> None:
    load(api, make("one", "taken:1")).ok()
    old = api.get("/images/taken:1/json").json()["Id"]
    lines = [line["stream"] for line in load(api, make("two", "taken:1")).ok().lines()]
    assert lines == [
        f"The image taken:1 already exists, renaming the old one with ID {old} to empty string\n",
        "Loaded image: taken:1\n",
    ]
    assert api.get(f"/images/{old}/json").ok().json()["RepoTags"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("manifest.json"), "neither a manifest.json"),
        (lambda f: f.update({"manifest.json": b"{}"}), "no list"),
        (lambda f: f.update({"manifest.json": b"[1]"}), "no list"),
        (lambda f: f.update({"manifest.json": b"[" * 5000}), "manifest.json"),
        (lambda f: f.update({"manifest.json": b'[{"Config":"../x"}]'}), "outside"),
        (lambda f: f.update({"manifest.json": b'[{"Config":"absent"}]'}), "missing"),
        (
            lambda f: f.update({"manifest.json": f["manifest.json"].replace(b"bad:1", b"bad")}),
            "tag",
        ),
        (
            lambda f: f.update(
                {"manifest.json": f["manifest.json"].replace(b"bad:1", b"sha256:" + b"a" * 64)}
            ),
            "",
        ),
        (
            lambda f: f.update(
                {k: images.layer([images.Entry("evil")]) for k in f if k.endswith("layer.tar")}
            ),
            "wrong diff id",
        ),
        (lambda f: f.update({k: b"{" for k in f if len(k) == 69}), "JSON"),
    ],
)
def test_i3_a_lying_docker_archive_is_refused(api: Any, change: Any, message: str) -> None:
    files = members(make("bad", "bad:1"))
    change(files)
    answer = load(api, pack(files))
    assert message in refusal(answer)
    assert api.get("/images/bad:1/json").status == 404


def test_i3_a_manifest_that_is_also_an_index_is_refused(api: Any) -> None:
    layout = Layout()
    layout.image("x", "amd64")
    place = next(p for p, d in layout.files.items() if b"schemaVersion" in d)
    document = json.loads(layout.files.pop(place))
    document["manifests"] = []
    entry = layout.add(json.dumps(document).encode(), document["mediaType"])
    answer = load(api, layout.archive(entry, "docker.io/library/both:1"))
    assert "at the same time" in refusal(answer)


def test_i3_a_blob_with_other_content_than_its_digest_is_refused(api: Any) -> None:
    layout = Layout()
    entry = layout.image("x", "amd64")
    place = f"blobs/sha256/{entry['digest'][7:]}"
    layout.files[place] = layout.files[place].replace(b" ", b"  ", 1)
    answer = load(api, layout.archive(entry, "docker.io/library/false:1"))
    assert "other content" in refusal(answer)
    assert api.get("/images/false:1/json").status == 404


@pytest.mark.parametrize(
    "digest", ["sha256:../../../etc/passwd", "md5:" + "0" * 32, "", "sha256:A"]
)
def test_i3_a_digest_that_is_none_is_refused(api: Any, digest: str) -> None:
    layout = Layout()
    entry = layout.image("x", "amd64")
    answer = load(api, layout.archive({**entry, "digest": digest}, "docker.io/library/no:1"))
    assert "digest" in refusal(answer)


@pytest.mark.parametrize("lie", ["digest", "size"])
@pytest.mark.parametrize("about", ["manifest", "config", "layer"])
def test_i3_each_digest_and_each_size_is_checked(api: Any, about: str, lie: str) -> None:
    """Bytes of the same length are not enough, and neither are the right bytes of a wrong size."""
    layout = Layout()
    entry = layout.image("x", "amd64")
    document = json.loads(layout.files.pop(f"blobs/sha256/{entry['digest'][7:]}"))
    told = {"manifest": entry, "config": document["config"], "layer": document["layers"][0]}[about]
    if lie == "size":
        told["size"] += 1
    elif about != "manifest":
        place = f"blobs/sha256/{told['digest'][7:]}"
        layout.files[place] = another(layout.files[place])
    again = layout.add(json.dumps(document, indent=1).encode(), entry["mediaType"])
    if about == "manifest" and lie == "digest":
        place = f"blobs/sha256/{again['digest'][7:]}"
        layout.files[place] = layout.files[place].replace(b": 2,", b":2 ,")
    if about == "manifest" and lie == "size":
        again["size"] += 1
    answer = load(api, layout.archive({**entry, **again}, "docker.io/library/false:1"))
    assert "other content" in refusal(answer)
    assert api.get("/images/false:1/json").status == 404


def another(data: bytes) -> bytes:
    """Return bytes of the same length that mean the same."""
    if data[:2] == b"\x1f\x8b":
        return data[:4] + bytes((data[4] ^ 1,)) + data[5:]  # the time of gzip's header
    return data.replace(b'": "', b'" :"', 1)


def test_i3_an_image_has_as_many_layers_as_its_configuration_says(api: Any) -> None:
    files = members(make("few", "few:1"))
    table = json.loads(files["manifest.json"])
    table[0]["Layers"] = []
    answer = load(api, pack({**files, "manifest.json": json.dumps(table).encode()}))
    assert "layers" in refusal(answer)
    layout = Layout()
    entry = layout.image("x", "amd64")
    document = json.loads(layout.files.pop(f"blobs/sha256/{entry['digest'][7:]}"))
    document["layers"] *= 2
    again = layout.add(json.dumps(document).encode(), entry["mediaType"])
    answer = load(api, layout.archive({**entry, **again}, "docker.io/library/few:1"))
    assert "layers" in refusal(answer)
    assert api.get("/images/few:1/json").status == 404


def test_i4_a_document_above_the_limit_is_not_read(api: Any) -> None:
    """Although it would be a good one."""
    files = members(make("padded", "padded:1"))
    padded = files["manifest.json"] + b" " * (9 << 20)
    assert "manifest.json" in refusal(load(api, pack({**files, "manifest.json": padded})))
    assert api.get("/images/padded:1/json").status == 404


def test_i4_documents_and_entries_without_end_are_given_up(api: Any) -> None:
    many = {f"document{number}": b" " * (4 << 20) for number in range(33)}
    archive = gzip.compress(pack({**members(make("lot", "lot:1")), **many}), 1)
    assert "documents are too large" in refusal(load(api, archive))
    header = pack({"x": b""})[:512]
    archive = gzip.compress(header * 100_001 + bytes(1024), 1)
    assert "more than 100000 entries" in refusal(load(api, archive))


def test_i4_a_huge_document_is_not_taken_into_memory(api: Any) -> None:
    assert "manifest.json" in refusal(load(api, pack({"manifest.json": b" " * (9 << 20)})))


def test_i7_an_archive_cannot_make_a_name_that_is_an_id(api: Any) -> None:
    load(api, make("victim", "victim:1")).ok()
    victim = api.get("/images/victim:1/json").json()["Id"][7:]
    for name in (victim, f"{victim}:latest"):
        assert refusal(load(api, make("poison", name)))
    assert api.get(f"/images/{victim}/json").ok().json()["RepoTags"] == ["victim:1"]


def test_i10_a_layer_cannot_change_the_modes_of_directories_above_it(
    api: Any, daemon: Daemon
) -> None:
    layer = images.layer([images.directory("./", 0o777), images.directory("a/..", 0o777)])
    load(api, images.docker_archive([layer], tags=["modes:1"])).ok()
    assert daemon.data_root.stat().st_mode & 0o066 == 0
    assert (daemon.data_root / "layers/overlay2").stat().st_mode & 0o027 == 0


def test_a_corrupt_archive_leaves_nothing(api: Any, daemon: Daemon) -> None:
    archive = gzip.compress(make("cut", "cut:1"))
    before = sorted(p.name for p in (daemon.data_root / "content/blobs/sha256").iterdir())
    for data in (archive[: len(archive) // 2], b"", b"no tar" * 1000, bytes(4096)):
        assert refusal(load(api, data))
    assert before == sorted(p.name for p in (daemon.data_root / "content/blobs/sha256").iterdir())


# --- import -------------------------------------------------------------------------------------


def test_import_makes_an_image_of_a_root_file_system(api: Any) -> None:
    tar = images.layer([images.Entry("hello", b"hi")])
    query = {"fromSrc": "-", "repo": "imported", "tag": "1", "changes": 'CMD ["/hello"]'}
    lines = api.request("POST", "/images/create", tar, query=query).ok().lines()
    shown = api.get("/images/imported:1/json").ok().json()
    assert lines == [{"status": shown["Id"]}]
    assert shown["Config"]["Cmd"] == ["/hello"]
    history = api.get("/images/imported:1/history").ok().json()
    assert history[0]["Comment"] == "Imported from -"


def test_import_fetches_from_an_address_and_from_no_other_scheme(api: Any, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(images.layer([images.Entry("f", b"1")]))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        query = {"fromSrc": f"{base}/root.tar", "repo": "fetched"}
        api.request("POST", "/images/create", query=query).ok()
        query["fromSrc"] = f"{base}/absent.tar"
        assert "status 404" in api.request("POST", "/images/create", query=query).message
        query["fromSrc"] = f"127.0.0.1:{server.server_port}/root.tar"  # http is meant
        api.request("POST", "/images/create", query=query).ok()
        server.shutdown()
    gone = api.request("POST", "/images/create", query={"fromSrc": f"{base}/root.tar"})
    place = f"dial tcp {base.removeprefix('http://')}: connect: connection refused"
    assert (gone.status, gone.message) == (500, f'Get "{base}/root.tar": {place}')
    assert api.get("/images/fetched/json").ok().json()["RootFS"]["Layers"]
    for url in ("file:///etc/passwd", "unix:///x", "ftp://x/y"):
        answer = api.request("POST", "/images/create", query={"fromSrc": url})
        assert answer.status == 400
        assert "only http and https" in answer.message


def test_import_tells_of_the_name_and_takes_no_other_system(api: Any) -> None:
    since = api.clock()
    query = {"fromSrc": "-", "repo": "named", "tag": "1"}
    api.request("POST", "/images/create", images.layer([]), query=query).ok()
    told = api.get("/events", since=since, until=api.clock(), filters={"type": ["image"]})
    assert [event["Action"] for event in told.ok().lines()] == ["tag", "import"]
    query["platform"] = "windows/amd64"
    refused = api.request("POST", "/images/create", images.layer([]), query=query)
    assert (refused.status, refused.message) == (400, "operating system is not supported (windows)")


def test_a_load_for_a_platform_that_is_not_in_the_archive_is_refused(api: Any) -> None:
    archive = make("amd64 alone", "alone:1")
    why = refusal(load(api, archive, platform='{"os":"linux","architecture":"arm64"}'))
    assert why == "requested platform linux/arm64 not found in the archive"
    assert api.get("/images/alone:1/json").status == 404
    load(api, archive, platform='{"os":"linux","architecture":"amd64"}').ok()
    assert api.get("/images/alone:1/json").status == 200


def test_what_is_no_name_for_a_registry_is_refused_before_it_is_asked(api: Any) -> None:
    scratch = api.post("/images/create", fromImage="scratch")
    assert (scratch.status, scratch.message.partition(" (")[0]) == (
        400,
        "'scratch' is a reserved name",
    )
    for name in ("f" * 64, "sha256:" + "f" * 64):
        answer = api.get(f"/distribution/{name}/json")
        assert answer.status == 400
        assert answer.message.startswith("no manifest found for full image ID")


def test_import_refuses_a_bad_change_and_a_bad_tar(api: Any) -> None:
    query = {"fromSrc": "-", "changes": "RUN rm"}
    answer = api.request("POST", "/images/create", images.layer([]), query=query)
    assert answer.status == 400
    assert "RUN is not a valid change command" in answer.message
    assert api.request("POST", "/images/create", b"x" * 999, query={"fromSrc": "-"}).status == 400


# --- names and removal --------------------------------------------------------------------------


def test_names_ids_and_short_ids_find_an_image(api: Any) -> None:
    load(api, make("found", "found:1")).ok()
    image_id = api.get("/images/found:1/json").ok().json()["Id"]
    for ref in (image_id, image_id[7:], image_id[7:19], "docker.io/library/found:1"):
        assert api.get(f"/images/{ref}/json").ok().json()["Id"] == image_id
    for ref, shown in (("absent", "absent:latest"), ("absent:2", "absent:2"), ("f" * 64, "f" * 64)):
        answer = api.get(f"/images/{ref}/json")
        assert (answer.status, answer.message) == (404, f"No such image: {shown}")


@pytest.mark.parametrize("ref", ["a:b:c", "x@sha256:12", "-x", "ab cd", "sha256:", "busybox:"])
def test_what_can_be_no_reference_is_refused_not_sought(api: Any, ref: str) -> None:
    answers = [
        api.get(f"/images/{ref}/json"),
        api.get(f"/images/{ref}/history"),
        api.get(f"/images/{ref}/get"),
        api.get("/images/get", names=ref),
        api.delete(f"/images/{ref}"),
        api.post(f"/images/{ref}/tag", repo="other"),
        api.post("/containers/create", {"Image": ref, "Cmd": ["true"]}),
    ]
    assert {(a.status, a.message) for a in answers} == {(400, "invalid reference format")}


def test_i6_a_name_with_tag_and_digest_must_have_that_digest(api: Any) -> None:
    load(api, make("pinned", "pinned:1")).ok()
    assert api.get(f"/images/pinned:1@sha256:{'0' * 64}/json").status == 404


def test_a_removed_name_leaves_the_other(api: Any) -> None:
    load(api, make("names", "names:1")).ok()
    api.post("/images/names:1/tag", repo="names", tag="2").ok(201)
    assert api.delete("/images/names:1").ok().json() == [{"Untagged": "names:1"}]
    removed = api.delete("/images/names:2").ok().json()
    assert [next(iter(item)) for item in removed] == ["Untagged", "Deleted", "Deleted"]


def test_an_id_with_several_names_must_be_forced(api: Any) -> None:
    load(api, make("several", "several:1", "elsewhere:1")).ok()
    image_id = api.get("/images/several:1/json").json()["Id"]
    short, several = image_id[7:19], "image is referenced in multiple repositories"
    answer = api.delete(f"/images/{image_id}")
    assert (answer.status, answer.message) == (
        409,
        f"conflict: unable to delete {short} (must be forced) - {several}",
    )
    api.delete(f"/images/{image_id}", force=True).ok()


def test_an_image_of_a_container_is_kept(api: Any) -> None:
    archive = images.docker_archive(
        [images.busybox_layer(), images.layer([images.Entry("mine")])], tags=["used:1"]
    )
    load(api, archive).ok()
    image_id = api.get("/images/used:1/json").json()["Id"]
    container = c.create(api, Image="used:1", Cmd=["sleep", "60"])
    short, used = image_id[7:19], container[:12]
    answer = api.delete("/images/used:1")
    assert answer.status == 409
    assert answer.message == (
        f'conflict: unable to remove repository reference "used:1" (must force) - container {used}'
        f" is using its referenced image {short}"
    )
    assert f"(must be forced) - image is being used by stopped container {used}" in (
        api.delete(f"/images/{image_id}").message
    )
    api.post(f"/containers/{container}/start").ok(204)
    answer = api.delete(f"/images/{image_id}", force=True)
    assert answer.message == (
        f"conflict: unable to delete {short} (cannot be forced) - image is being used by running"
        f" container {used}"
    )
    api.delete(f"/containers/{container}", force=True).ok(204)
    api.delete("/images/used:1").ok()


def test_a_tag_that_is_none_is_refused(api: Any) -> None:
    load(api, make("tagged", "tagged:1")).ok()
    for repo, tag, message in (
        ("UPPER", "", "must be lowercase"),
        ("a" * 64, "", "64-byte hexadecimal"),
        ("x", "-bad", "invalid tag format"),
        ("x@sha256:" + "0" * 64, "", "digest"),
    ):
        answer = api.post("/images/tagged:1/tag", repo=repo, tag=tag)
        assert answer.status == 400
        assert message in answer.message
    assert api.post("/images/absent/tag", repo="x", tag="1").status == 404


# --- lists and accounts -------------------------------------------------------------------------


def test_every_filter_of_the_list(api: Any) -> None:
    load(api, make("first", "listed:1", config={"Labels": {"color": "red"}})).ok()
    load(api, make("second", "listed:2", "reg.example/listed:3")).ok()
    load(api, make("third", "listed:2")).ok()

    def names(**filters: list[str]) -> set[str]:
        found = api.get("/images/json", filters=filters).ok().json()
        return {tag for image in found for tag in image["RepoTags"]}

    assert names(reference=["listed"]) == {"listed:1", "listed:2"}
    assert names(reference=["*/listed"]) == {"reg.example/listed:3"}
    assert names(reference=["listed:*1"]) == {"listed:1"}
    assert names(label=["color"]) == {"listed:1"}
    assert names(label=["color=blue"]) == set()
    assert names(dangling=["true"]) == set()
    assert names(before=["listed:1"]) == names(since=["listed:1"]) - {"busybox:latest"} == set()
    assert "listed:1" in names(until=["2030-01-01"])
    assert names(until=["2000-01-01T00:00:00"]) == set()
    for bad in (
        {"nonsense": ["1"]},
        {"dangling": ["maybe"]},
        {"until": ["never"]},
        {"until": ["²"]},
    ):
        assert api.get("/images/json", filters=bad).status == 400
    assert api.get("/images/json", filters={"before": ["absent"]}).status == 404


def test_shared_and_unique_sizes_are_exact(api: Any) -> None:
    common = images.layer([images.Entry("common", b"c" * 10_000)])
    for name, size in (("left", 100), ("right", 2000)):
        own = images.layer([images.Entry("own", name.encode() * size)])
        load(api, images.docker_archive([common, own], tags=[f"{name}:1"])).ok()
    shown = {
        image["RepoTags"][0]: (image["Size"], image["SharedSize"])
        for image in api.request("GET", "/images/json", query={"shared-size": 1}).ok().json()
    }
    assert shown["left:1"] == (10_400, 10_000)
    assert shown["right:1"] == (20_000, 10_000)
    assert api.get("/images/json").json()[0]["SharedSize"] == -1


def test_prune_takes_unnamed_images_and_with_all_the_unused(api: Any) -> None:
    load(api, make("old", "pruned:1")).ok()
    load(api, make("new", "pruned:1")).ok()
    pruned = api.post("/images/prune").ok().json()
    assert len([item for item in pruned["ImagesDeleted"] if "Deleted" in item]) == 2
    assert pruned["SpaceReclaimed"] == 300
    kept = api.get("/images/pruned:1/json").ok().json()["Id"]
    filters = {"dangling": ["false"], "until": ["2001-01-01T00:00:00"]}
    assert api.post("/images/prune", filters=filters).ok().json()["ImagesDeleted"] is None
    filters = {"dangling": ["false"], "label!": ["absent"]}
    container = c.create(api)  # keeps busybox
    deleted = api.post("/images/prune", filters=filters).ok().json()["ImagesDeleted"]
    api.delete(f"/containers/{container}").ok(204)
    assert {"Deleted": kept} in deleted
    assert api.post("/images/prune", filters={"nonsense": ["1"]}).status == 400


def test_events_tell_what_happened(api: Any, daemon: Daemon) -> None:
    from support.api import wall_clock  # noqa: PLC0415

    since = wall_clock()
    load(api, make("told", "told:1")).ok()
    image_id = api.get("/images/told:1/json").json()["Id"]
    api.post("/images/told:1/tag", repo="told", tag="2").ok(201)
    api.get("/images/told:1/get").ok()
    api.delete("/images/told:1").ok()
    api.delete("/images/told:2").ok()
    events = [(e["Action"], e["Actor"]["ID"]) for e in daemon.api.events(since, type=["image"])]
    assert events == [
        (action, image_id) for action in ("load", "tag", "save", "untag", "untag", "delete")
    ]
