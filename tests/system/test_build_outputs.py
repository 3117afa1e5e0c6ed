"""What becomes of a build, and how it is told: outputs, the classic stream, views, history."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api import Api, Response, wall_clock
from support.builds import Project
from support.cli import Cli
from support.daemon import Daemon
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def project(moor: Cli, tmp_path: Path) -> Iterator[Project]:
    yield Project(moor, tmp_path)
    moor("builder", "prune", "-af")


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}  # type: ignore[union-attr]


def blob(archive: dict[str, bytes], descriptor: Any) -> Any:
    data = archive["blobs/sha256/" + descriptor["digest"][7:]]
    assert len(data) == descriptor["size"]
    assert hashlib.sha256(data).hexdigest() == descriptor["digest"][7:]
    return json.loads(data)


def test_tar_and_local_outputs_hold_the_same_files(project: Project, tmp_path: Path) -> None:
    text = "FROM busybox\nRUN echo x > /x && ln -s x /y && mkdir -m 700 /d\n"
    out = tmp_path / "out.tar"
    project.run(text, "-o", f"type=tar,dest={out}", "-o", str(project.out)).ok()
    with tarfile.open(out) as tar:
        names = {m.name.strip("/") for m in tar}
    assert {"x", "y", "d", "bin/busybox"} <= names
    assert names - {"."} == {str(p.relative_to(project.out)) for p in project.out.rglob("*")}


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_oci_archive_with_attestations(project: Project, tmp_path: Path, compression: str) -> None:
    out = tmp_path / "oci.tar"
    project.run(
        "FROM busybox\nARG A\nRUN mkdir -p /var/lib/dpkg && printf 'Package: p\\nStatus: install "
        "ok installed\\nVersion: 1\\n' > /var/lib/dpkg/status\n",
        *("-o", f"type=oci,dest={out},compression={compression}", "-t", "my/app:2"),
        *("--sbom", "true", "--provenance", "mode=max", "--build-arg", "A=hello"),
    ).ok()
    archive = members(out)
    top = json.loads(archive["index.json"])["manifests"][0]
    assert top["annotations"]["io.containerd.image.name"] == "docker.io/my/app:2"
    image, attestation = blob(archive, top)["manifests"]
    manifest = blob(archive, image)
    assert blob(archive, manifest["config"])["os"] == "linux"
    suffix = {"gzip": "+gzip", "zstd": "+zstd", "uncompressed": ".tar"}[compression]
    assert all(layer["mediaType"].endswith(suffix) for layer in manifest["layers"])
    assert attestation["annotations"] == {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    statements = {
        layer["annotations"]["in-toto.io/predicate-type"]: blob(archive, layer)
        for layer in blob(archive, attestation)["layers"]
    }
    packages = statements["https://spdx.dev/Document"]["predicate"]["packages"]
    assert [(p["name"], p["versionInfo"]) for p in packages] == [("p", "1")]
    provenance = statements["https://slsa.dev/provenance/v0.2"]
    assert provenance["_type"] == "https://in-toto.io/Statement/v0.1"
    assert provenance["subject"][0]["digest"]["sha256"] == image["digest"][7:]
    predicate = provenance["predicate"]
    assert predicate["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert predicate["invocation"]["parameters"]["args"]["build-arg:A"] == "hello"
    assert predicate["materials"][0]["uri"].startswith("pkg:docker/busybox")


def test_docker_archive_is_loaded_by_docker_load(
    project: Project, docker: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "docker.tar"
    project.run("FROM busybox\nRUN echo\nENV A=1\n", "-o", f"type=docker,dest={out}", "-t", "arc:1")
    docker("load", "-i", out)
    assert "A=1" in project.config("arc:1")["Config"]["Env"]
    project.remove("arc:1")


@pytest.mark.requires("skopeo")
def test_skopeo_reads_the_archive(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "oci.tar"
    project.run("FROM busybox\nENV A=1\n", "-o", f"type=oci,dest={out}").ok()
    done = subprocess.run(
        ["skopeo", "inspect", "--config", f"oci-archive:{out}"], capture_output=True, check=True
    )
    assert "A=1" in json.loads(done.stdout)["config"]["Env"]


def test_push_goes_to_the_registry(project: Project) -> None:
    with FakeRegistry() as registry:
        name = f"{registry.host}/app:1"
        project.run("FROM busybox\nRUN echo > /x\n", "-t", name, "--push").ok()
        assert registry.requests("PUT", "manifests/1")
        project.remove(name)
        project.run(f"FROM {name}\nRUN test -e /x\n").ok()  # pulled again
        project.remove(name)


_TWO = "FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH\n"


def test_an_image_of_several_platforms_is_kept_and_pushed(project: Project, api: Api) -> None:
    project.write(f="F")
    with FakeRegistry() as registry:
        name = f"{registry.host}/two:1"
        flags = ("--platform", "linux/amd64,linux/arm64", "--provenance=true", "-t", name)
        project.run(_TWO, *flags, "--push").ok()
        ours = api.get(f"/images/{name}/json", manifests=True).ok().json()["Manifests"]
        kinds = sorted(item["Kind"] for item in ours)
        assert kinds == ["attestation", "attestation", "image", "image"]
        project.remove(name)
        for architecture in ("arm64", "amd64"):
            tree = project.tree(
                f"FROM --platform=linux/{architecture} {name} AS theirs\n"
                "FROM scratch\nCOPY --from=theirs / /\n"
            )
            assert (tree / architecture).read_text() == "F"
            project.remove(name)


def test_several_platforms_need_no_name(project: Project) -> None:
    project.write(f="F")
    image = project.image(_TWO, "--platform", "linux/amd64,linux/arm64")
    assert project.config(image)["Architecture"] == "amd64"
    project.moor("image", "prune", "-f")


def test_the_classic_stream_is_dockers(docker: Cli, api: Api, project: Project) -> None:
    project.write(
        Dockerfile="FROM busybox\nRUN echo out; echo err >&2\nENV A=1\n",
    )
    said = docker("build", "-t", "classic:1", project.root)
    lines = said.splitlines()
    start = lines.index("Step 1/3 : FROM busybox")
    assert lines[start + 1].startswith(" ---> ")
    assert lines[start + 2] == "Step 2/3 : RUN echo out; echo err >&2"
    assert "out" in lines
    assert "\x1b[91merr" in said
    assert lines[-2].startswith("Successfully built ")
    assert lines[-1] == "Successfully tagged classic:1"
    assert " ---> Using cache" not in lines
    quiet = docker("build", "-q", project.root)
    assert quiet == project.config("classic:1")["Id"]
    again = docker("build", project.root).splitlines()
    assert [again[n + 1] for n, line in enumerate(again) if line.startswith("Step ")][1:] == [
        " ---> Using cache",
        " ---> Using cache",  # of ENV too, which leaves no layer
    ]
    assert " ---> Using cache" not in docker("build", "--no-cache", project.root)
    project.write(Dockerfile="FROM busybox\nRUN echo other\nENV A=1\n")
    assert " ---> Using cache" not in docker("build", project.root)
    failed = docker.run("build", "-", stdin="FROM busybox\nRUN exit 9\n")
    assert failed.code == 9
    assert "The command '/bin/sh -c exit 9' returned a non-zero code: 9" in failed.err
    wrong = docker.run("build", "-", stdin="FORM busybox\n")
    assert "dockerfile parse error on line 1: unknown instruction: FORM" in wrong.err
    assert api.request("POST", "/build", b"", query={"remote": "x y"}).status == 400
    assert api.request("POST", "/build", b"", query={"version": "2"}).status == 501
    refused = api.request("POST", "/build", b"", query={"version": "3"})
    assert (refused.status, refused.message) == (400, 'invalid version "3"')
    nameless = api.request("POST", "/build/cancel")
    assert (nameless.status, nameless.message) == (400, "build ID not provided")
    project.remove("classic:1")
    docker("image", "prune", "--force")


def test_a_quiet_build_says_its_id_alone(api: Api) -> None:
    """dockerd's stream, which clients take the last line or the only one of."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as context:
        text = b"FROM busybox\nENV QUIET=1\n"
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        context.addfile(entry, io.BytesIO(text))
    answer = api.request("POST", "/build", archive.getvalue(), query={"q": "1"}).ok()
    (line,) = answer.lines()
    assert set(line) == {"stream"}
    assert line["stream"].startswith("sha256:")
    api.delete(f"/images/{line['stream'].strip()}").ok()


def test_pruning_takes_the_filters_of_system_prune_and_is_announced(api: Api) -> None:
    since = wall_clock()

    def prune(**filters: list[str]) -> Response:
        return api.post("/build/prune", filters=filters)

    assert prune(label=["x=y"]).ok().json()["CachesDeleted"] is None  # records have no labels
    assert prune(**{"label!": ["x=y"]}).status == 200
    several = prune(type=["regular", "source.local"])
    assert (several.status, several.message) == (
        400,
        "failed to prune build cache: filters expect only one value (type)",
    )
    unknown = prune(colour=["red"])
    assert (unknown.status, unknown.message) == (
        400,
        "failed to prune build cache: invalid filter 'colour'",
    )
    told = api.get("/events", since=since, until=wall_clock(), filters='{"type":["builder"]}')
    assert [event["Action"] for event in told.ok().lines()] == ["prune", "prune"]


def test_docker_py_builds(daemon: Daemon, project: Project) -> None:
    import docker as docker_py  # type: ignore[import-untyped]  # noqa: PLC0415

    project.write(Dockerfile="FROM busybox\nRUN echo hi\n")
    client = docker_py.DockerClient(base_url=f"unix://{daemon.socket}")
    image, lines = client.images.build(path=str(project.root), tag="py:1", buildargs={"X": "1"})
    assert image.tags == ["py:1"]
    text = "".join(line.get("stream", "") for line in lines)
    assert "[Warning] One or more build-args [X] were not consumed" in text
    project.write(Dockerfile="FROM busybox\nRUN exit 4\n")
    with pytest.raises(docker_py.errors.BuildError, match="returned a non-zero code: 4"):
        client.images.build(path=str(project.root))
    client.images.remove("py:1")
    client.close()


def test_check_reports_and_builds_nothing(project: Project, api: Api) -> None:
    before = len(api.get("/build/history").json())
    result = project.run("FROM busybox as b\nENV T $X\nCMD x\n", "--check")
    assert result.code == 1
    for rule in ("FromAsCasing", "LegacyKeyValueFormat", "UndefinedVar", "JSONArgsRecommended"):
        assert f"WARNING: {rule} - https://docs.docker.com/go/dockerfile/rule/" in result.out
    assert "   2 | >>> ENV T $X" in result.out
    assert len(api.get("/build/history").json()) == before
    clean = project.run("FROM busybox\nENV T=1\n", "--check")
    assert (clean.code, clean.out) == (0, "Check complete, no warnings found.\n")


def test_history_keeps_builds_with_their_logs(project: Project, moor: Cli) -> None:
    project.run("FROM busybox\nRUN echo remembered\n", "-t", "hist:1").ok()
    project.fails("FROM busybox\nRUN exit 3\n")
    listed = moor("build", "history").splitlines()
    ids = [line.split()[0] for line in listed[1:]]
    assert moor("build", "history", "ls", "-q").split() == ids
    assert moor("builder", "history", "ls", "--quiet").split() == ids
    refused = moor.run("build", "-t", "hist:2", "history", "ls")
    assert (refused.code, "--tag is for a build" in refused.err) == (125, True), refused
    assert "error" in listed[1]
    assert "hist:1" in listed[2]
    assert "remembered" in moor("builder", "history", "logs", "^1")
    assert "exit code: 3" in moor("builder", "history", "inspect", "^0")
    identity = listed[1].split()[0]
    moor("builder", "history", "rm", identity)
    assert identity not in moor("builder", "history", "ls")
    project.remove("hist:1")


def test_raw_json_and_quiet_progress(project: Project) -> None:
    project.write(Dockerfile="FROM busybox\nRUN echo hi\n")
    raw = project.moor.run("build", "--progress=rawjson", project.root).ok()
    kinds = [json.loads(line)["type"] for line in raw.err.splitlines()]
    assert {"vertex", "log"} <= set(kinds)
    quiet = project.moor.run("build", "-q", project.root).ok()
    assert quiet.out.startswith("sha256:")
    assert quiet.err == ""


def test_debug_keeps_the_state_before_the_failure(project: Project, moor: Cli) -> None:
    said = project.fails("FROM busybox\nRUN echo here > /state\nRUN exit 1\n", "--debug")
    image = said.rpartition("--rm ")[2].split()[0]
    shown = moor("run", "--rm", image, "cat", "/state")
    assert shown == "here"
    moor("rmi", image)


def test_stages_run_at_the_same_time(project: Project) -> None:
    meet = "--mount=type=cache,id=meet,target=/m"
    text = "".join(
        f"FROM busybox AS s{n}\nRUN {meet} touch /m/{n}; for i in $(seq 100); do "
        f"test -e /m/{1 - n} && touch /{n} && exit; sleep 0.1; done; exit 1\n"
        for n in range(2)
    )
    text += "FROM scratch\n" + "".join(f"COPY --from=s{n} /{n} /\n" for n in range(2))
    project.run(text).ok()
