"""BuildKit's protocol: what buildx and compose speak, driven by a client of our own."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.buildkit.session import gomode
from moorage.buildkit.wire import gateway
from moorage.buildkit.wire.control import (
    Definition,
    DiskUsageRequest,
    DiskUsageResponse,
    Exporter,
    InfoRequest,
    InfoResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    PruneRequest,
    SolveRequest,
    SolveResponse,
    StatusRequest,
    StatusResponse,
    UsageRecord,
)
from moorage.buildkit.wire.session import Stat
from moorage.grpc.status import CallFailed, Code
from moorage.lib.tasks import Supervisor
from support.buildkit import Offered, connect, upgrade
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "overlayfs")

FILE = gomode.from_kernel(stat.S_IFREG | 0o644)
DIRECTORY = gomode.from_kernel(stat.S_IFDIR | 0o755)
LINK = gomode.from_kernel(stat.S_IFLNK | 0o777)


@pytest.fixture
def project(tmp_path: Path, moor: Cli) -> Iterator[Path]:
    root = tmp_path / "project"
    root.mkdir()
    yield root
    moor("builder", "prune", "-af")


def offered(project: Path, dockerfile: str, **files: str) -> Offered:
    (project / "Dockerfile").write_text(dockerfile)
    for name, content in files.items():
        (project / name).write_text(content)
    return Offered(directories={"context": project, "dockerfile": project})


def moby(*names: str) -> list[Exporter]:
    return [Exporter(type="moby", attrs={"name": ",".join(names)} if names else {})]


async def test_it_says_what_it_is(daemon: Daemon) -> None:
    async with connect(daemon.socket) as client:
        info = await client.control("Info", InfoRequest(), InfoResponse)
        workers = await client.control("ListWorkers", ListWorkersRequest(), ListWorkersResponse)
    assert info.version is not None
    assert info.version.version.startswith("v0.")
    (worker,) = workers.record
    assert worker.platforms[0].os == "linux"
    assert "org.mobyproject.buildkit.worker.snapshotter" in worker.labels


@pytest.mark.parametrize(
    ("path", "protocol", "headers", "sentence"),
    [
        ("/grpc", "", {}, b"no upgrade proto"),
        ("/grpc", "tcp", {}, b"protocol tcp not supported"),
        ("/session", "", {}, b"no upgrade proto"),
        ("/session", "h2c", {}, b"has no id"),
    ],
)
async def test_what_is_no_upgrade_is_refused(
    daemon: Daemon, path: str, protocol: str, headers: dict[str, str], sentence: bytes
) -> None:
    head, duplex = await upgrade(daemon.socket, path, headers, protocol=protocol)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert sentence in await duplex.read()
    duplex.close()


async def test_an_id_can_be_taken_once(daemon: Daemon) -> None:
    async with connect(daemon.socket) as client:
        headers = client.session.headers("")
        head, duplex = await upgrade(daemon.socket, "/session", headers)
        assert head.startswith(b"HTTP/1.1 400 ")
        duplex.close()


async def test_a_client_that_serves_no_more_is_left(daemon: Daemon) -> None:
    offer = Offered(healthy=False)
    async with connect(daemon.socket, offer) as client:
        await client.session_ended()
    assert "Check" in offer.asked


async def test_a_build_as_buildx_drives_it(daemon: Daemon, project: Path, moor: Cli) -> None:
    offer = offered(project, "FROM busybox\nCOPY a /a\nARG X\nRUN cat /a && echo $X\n", a="hello\n")
    async with connect(daemon.socket, offer) as client:
        request = client.request(frontend="", frontend_attrs={}, exporters=moby("bk/one:1"))
        attrs = {"build-arg:X": "arg", "label:l": "v", "force-network-mode": "none"}
        answer = await client.drive(
            request, gateway.SolveRequest(frontend="dockerfile.v0", frontend_opt=attrs)
        )
        assert "hello\narg\n" in client.output
        assert "[internal] load build definition from Dockerfile" in client.names
        assert "exporting to image" in client.names
        assert all(vertex.started for told in client.told for vertex in told.vertexes)
        done = {v.digest for told in client.told for v in told.vertexes if v.completed}
        assert done == {v.digest for told in client.told for v in told.vertexes}
    image = json.loads(moor("image", "inspect", "bk/one:1"))[0]
    assert answer["containerimage.config.digest"] == image["Id"]
    assert answer["image.name"] == "docker.io/bk/one:1"
    assert image["Config"]["Labels"]["l"] == "v"
    moor("rmi", "-f", "bk/one:1")


async def test_a_solve_without_a_result_builds_nothing(daemon: Daemon) -> None:
    async with connect(daemon.socket) as client:
        request = client.request(frontend="")
        owner = Supervisor("test")
        solving = owner.start(client.solve(request), "solve")
        pong = await client.bridge(request.ref, "Ping", gateway.PingRequest(), gateway.PongResponse)
        assert "return" in {cap.id for cap in pong.frontend_caps}
        await client.bridge(request.ref, "Return", gateway.ReturnRequest(), gateway.ReturnResponse)
        assert await solving == {}
        with pytest.raises(CallFailed, match="exists"):
            await client.control("Solve", request, SolveResponse)


async def test_the_second_build_asks_for_what_has_changed_alone(
    daemon: Daemon, project: Path
) -> None:
    offer = offered(project, "FROM busybox\nCOPY . /all\n", a="1" * 100_000, b="2")
    async with connect(daemon.socket, offer, shared_key="the key") as client:
        await client.solve(client.request())
        assert {"a", "b"} <= set(offer.sent)
        offer.sent.clear()
        (project / "b").write_text("33")
        await client.solve(client.request())
        assert "b" in offer.sent
        assert "a" not in offer.sent


async def test_patterns_of_the_ignore_file_are_the_clients_to_obey(
    daemon: Daemon, project: Path
) -> None:
    offer = offered(project, "FROM busybox\nCOPY . /x\nRUN ls /x\n", a="1", hidden="s")
    (project / ".dockerignore").write_text("# all but\nhidden\n")
    async with connect(daemon.socket, offer) as client:
        await client.solve(client.request())
        assert "a\n" in client.output
        assert "hidden" not in client.output
    assert "hidden" not in offer.sent


async def test_a_step_that_fails_is_shown_in_its_place(daemon: Daemon, project: Path) -> None:
    offer = offered(project, "FROM busybox\nRUN echo before\nRUN echo no >&2; exit 7\n")
    async with connect(daemon.socket, offer) as client:
        with pytest.raises(CallFailed, match="exit code: 7") as caught:
            await client.solve(client.request(exporters=moby()))
        assert any("exit code: 7" in v.error for one in client.told for v in one.vertexes)
    (detail,) = caught.value.details
    assert detail.type_url == "github.com/moby/buildkit/errdefs.Source+json"
    place = json.loads(detail.value)
    assert place["ranges"][0]["start"]["line"] == 3
    assert b"exit 7" in base64.b64decode(place["info"]["data"])


@pytest.mark.parametrize(
    ("dockerfile", "sentence"),
    [
        ("FROM busybox\nRUNN x\n", r"unknown instruction: RUNN \(did you mean RUN\?\)$"),
        ("FROM busybox\nCOPY nowhere /\n", "not found"),
    ],
)
async def test_a_wrong_dockerfile_is_explained(
    daemon: Daemon, project: Path, dockerfile: str, sentence: str
) -> None:
    async with connect(daemon.socket, offered(project, dockerfile)) as client:
        with pytest.raises(CallFailed, match=sentence) as caught:
            await client.solve(client.request())
        assert caught.value.code == Code.UNKNOWN


async def test_a_dockerfile_that_is_not_there(daemon: Daemon, project: Path) -> None:
    async with connect(daemon.socket, offered(project, "FROM busybox\n")) as client:
        with pytest.raises(CallFailed, match="open D2: no such file"):
            await client.solve(client.request(frontend_attrs={"filename": "D2"}))


async def test_secrets_are_asked_for_and_left_nowhere(daemon: Daemon, project: Path) -> None:
    offer = offered(
        project,
        "FROM busybox\nRUN --mount=type=secret,id=tok tr a-z A-Z < /run/secrets/tok\n"
        "RUN --mount=type=secret,id=other,required=true true\n",
    )
    offer.secrets["tok"] = b"hush-hush"
    async with connect(daemon.socket, offer) as client:
        with pytest.raises(CallFailed, match="secret other: not found"):
            await client.solve(client.request(exporters=moby()))
        assert "HUSH-HUSH" in client.output
    assert "hush-hush" not in daemon.log.read_text()


async def test_an_agent_of_the_client_answers(
    daemon: Daemon, project: Path, tmp_path: Path
) -> None:
    place = tmp_path / "agent"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(100)).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, place)
    offer = offered(
        project,
        "FROM busybox\n"
        "RUN --mount=type=ssh,required test -S $SSH_AUTH_SOCK && echo begun && sleep 1000\n",
    )
    offer.agents["default"] = place
    sockets = daemon.exec_root / "build"
    owner = Supervisor("test")
    async with server, connect(daemon.socket, offer) as client:
        request = client.request()
        _ = owner.start(client.control("Solve", request, SolveResponse), "solve")
        await client.wait_for_output(request.ref, b"begun")
        (socket,) = sockets.rglob("*.sock")
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.close()
        await owner.close()
        await client.stream("Status", StatusRequest(ref=request.ref), StatusResponse)
    assert not list(sockets.rglob("*.sock"))


async def test_an_archive_goes_to_the_client(daemon: Daemon, project: Path) -> None:
    offer = offered(project, "FROM busybox\nRUN echo x > /x\n")
    async with connect(daemon.socket, offer) as client:
        await client.solve(client.request(exporters=[Exporter(type="tar")]))
    with tarfile.open(fileobj=io.BytesIO(offer.archive)) as tar:
        file = tar.extractfile("x")
        assert file is not None
        assert file.read() == b"x\n"
    assert not list((daemon.data_root / "build" / "outputs").glob("*"))


async def test_files_go_to_the_client_one_by_one(daemon: Daemon, project: Path) -> None:
    offer = offered(
        project,
        "FROM scratch\nCOPY big /d/big\nCOPY small /d-e\nCOPY links /\n",
        big="b" * 700_000,
        small="",
    )
    (project / "links").mkdir()
    (project / "links" / "link").symlink_to("d/big")
    async with connect(daemon.socket, offer) as client:
        client.session.local = True
        await client.solve(client.request(exporters=[Exporter(type="local")]))
    assert offer.tree["d/big"] == b"b" * 700_000
    assert offer.tree["d-e"] == b""
    assert offer.tree["link"] == b"d/big"
    assert "d" in offer.tree


@pytest.mark.usefixtures("project")
async def test_a_context_may_be_uploaded_as_an_archive(daemon: Daemon) -> None:
    offer = Offered()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        recipe = b"FROM busybox\nCOPY a /\nRUN cat /a\n"
        for name, text in {"Dockerfile": recipe, "a": b"up"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    offer.uploads["xyz"] = buffer.getvalue()
    async with connect(daemon.socket, offer) as client:
        attrs = {"context": "http://buildkit-session/xyz", "force-network-mode": "none"}
        await client.solve(client.request(frontend_attrs=attrs))
        assert "up" in client.output


async def test_named_contexts(daemon: Daemon, project: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "m").write_text("from more")
    offer = offered(project, "FROM base\nCOPY --from=extra m /m\nRUN cat /m\n")
    offer.directories["more"] = more
    async with connect(daemon.socket, offer) as client:
        attrs = {
            "context:base": "docker-image://busybox",
            "context:extra": "local:more",
            "force-network-mode": "none",
        }
        await client.solve(client.request(frontend_attrs=attrs))
        assert "from more" in client.output


async def test_the_cache_is_told_of_and_pruned(daemon: Daemon, project: Path) -> None:
    offer = offered(project, "FROM busybox\nRUN echo one-of-a-kind\n")
    async with connect(daemon.socket, offer) as client:
        await client.solve(client.request())
        used = await client.control("DiskUsage", DiskUsageRequest(), DiskUsageResponse)
        (mine,) = [r for r in used.record if "one-of-a-kind" in r.description]
        wanted = DiskUsageRequest(filter=["type==no-such-type"])
        assert (await client.control("DiskUsage", wanted, DiskUsageResponse)).record == []
        gone = await client.stream("Prune", PruneRequest(filter=[f"id~={mine.id}"]), UsageRecord)
        assert [r.id for r in gone] == [mine.id]
        kept = await client.stream("Prune", PruneRequest(keep_duration=10**15), UsageRecord)
        assert kept == []
        with pytest.raises(CallFailed, match="invalid filter"):
            await client.stream("Prune", PruneRequest(filter=["x==y"]), UsageRecord)


async def test_a_build_that_is_given_up_ends_and_leaves_nothing(
    daemon: Daemon, project: Path
) -> None:
    offer = offered(project, "FROM busybox\nRUN echo begun; sleep 1000\n")
    owner = Supervisor("test")
    async with connect(daemon.socket, offer) as client:
        request = client.request()
        solving = owner.start(client.control("Solve", request, SolveResponse), "solve")
        await client.wait_for_output(request.ref, b"begun")
        await owner.close()
        assert solving.cancelled()
        # the daemon ends the progress when the build has ended
        await client.stream("Status", StatusRequest(ref=request.ref), StatusResponse)


async def test_a_client_that_goes_ends_its_build(daemon: Daemon, project: Path) -> None:
    offer = offered(project, "FROM busybox\nRUN echo begun; sleep 1000\n")
    async with connect(daemon.socket, offer) as client:
        request = client.request()
        owner = Supervisor("test")
        _ = owner.start(client.control("Solve", request, SolveResponse), "solve")
        await client.wait_for_output(request.ref, b"begun")
    await owner.close()
    async with connect(daemon.socket) as other:
        await other.stream("Status", StatusRequest(ref=request.ref), StatusResponse)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (SolveRequest(ref="a", definition=Definition(steps=[b"x"])), "LLB"),
        (SolveRequest(ref="b", frontend="x.v0"), "frontend 'x.v0' cannot be run"),
        (SolveRequest(ref="c", frontend="dockerfile.v0"), "names no session"),
        (SolveRequest(ref="d", session="gone", frontend="dockerfile.v0"), "no active session"),
        (SolveRequest(frontend="dockerfile.v0"), "has no reference"),
    ],
)
async def test_what_cannot_be_solved_says_why(
    daemon: Daemon, request_: SolveRequest, sentence: str
) -> None:
    async with connect(daemon.socket) as client:
        with pytest.raises(CallFailed, match=sentence):
            await client.control("Solve", request_, SolveResponse)


async def test_methods_that_are_not_built_say_so(daemon: Daemon) -> None:
    async with connect(daemon.socket) as client:
        with pytest.raises(CallFailed, match="unknown method ListenBuildHistory") as caught:
            await client.stream("ListenBuildHistory", InfoRequest(), InfoResponse)
        assert caught.value.code == Code.UNIMPLEMENTED
        with pytest.raises(CallFailed, match="names no build"):
            await client.bridge("", "Ping", gateway.PingRequest(), gateway.PongResponse)


@pytest.mark.parametrize(
    "told",
    [
        [Stat(path="../escape", mode=FILE, size=1)],
        [Stat(path="/escape", mode=FILE, size=1)],
        [Stat(path="l", mode=LINK, link="/etc"), Stat(path="l/escape", mode=FILE, size=1)],
        [Stat(path="h", mode=FILE, link="/etc/passwd")],
        [Stat(path="d", mode=DIRECTORY), Stat(path="d/..", mode=FILE, size=1)],
    ],
)
async def test_a_context_that_would_leave_its_directory_is_refused(
    daemon: Daemon, project: Path, told: list[Stat]
) -> None:
    offer = offered(project, "FROM busybox\nCOPY . /x\n")
    offer.stats = told
    async with connect(daemon.socket, offer, shared_key="hostile") as client:
        with pytest.raises(CallFailed, match="the build context"):
            await client.solve(client.request())


async def test_a_file_that_is_shorter_than_it_was_said_to_be_fails_the_build(
    daemon: Daemon, project: Path
) -> None:
    offer = offered(project, "FROM busybox\nCOPY . /x\n", a="12345")
    offer.stats = [Stat(path="a", mode=FILE, size=9)]
    async with connect(daemon.socket, offer) as client:
        with pytest.raises(CallFailed, match="a became shorter"):
            await client.solve(client.request())
        offer.stats = [Stat(path="a", mode=FILE, size=3)]  # longer: cut where it was said to end
        (project / "Dockerfile").write_text("FROM busybox\nCOPY . /x\nRUN cat /x/a\n")
        await client.solve(client.request())
        assert client.output == "123"
