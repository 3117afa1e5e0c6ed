"""A client of BuildKit's protocol: solves on one connection, a session on another."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from moorage.buildkit.session import gomode
from moorage.buildkit.wire import gateway
from moorage.buildkit.wire.control import (
    SolveRequest,
    SolveResponse,
    StatusRequest,
    StatusResponse,
)
from moorage.buildkit.wire.session import (
    BytesMessage,
    CheckAgentResponse,
    CredentialsRequest,
    CredentialsResponse,
    GetSecretRequest,
    GetSecretResponse,
    HealthResponse,
    Packet,
    PacketKind,
    Stat,
)
from moorage.grpc import message
from moorage.grpc.client import Channel
from moorage.grpc.connection import Connection, Stream
from moorage.grpc.status import CallFailed, Code, trailers
from moorage.lib import ids
from moorage.lib.tasks import Supervisor

M = TypeVar("M", bound=Struct)
CONTROL = "/moby.buildkit.v1.Control/"
BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge/"
_RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]


class SocketDuplex:
    """A hijacked connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """Return what arrived."""
        return await self._reader.read(1 << 18)

    async def write(self, data: bytes) -> None:
        """Send."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """Close."""
        self._writer.close()


async def upgrade(
    socket: Path, path: str, headers: Mapping[str, str] | None = None, *, protocol: str = "h2c"
) -> tuple[bytes, SocketDuplex]:
    """Ask for the connection; return the head of the answer, and what it has become."""
    reader, writer = await asyncio.open_unix_connection(socket)
    asked = {"Connection": "Upgrade", "Upgrade": protocol} if protocol else {}
    lines = [f"{name}: {value}" for name, value in {**asked, **(headers or {})}.items()]
    writer.write("\r\n".join([f"POST {path} HTTP/1.1", "Host: d", *lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    return head, SocketDuplex(reader, writer)


@dataclass
class Offered:
    """What the client brings: directories of files, secrets, and what it does with outputs."""

    directories: dict[str, Path] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    agents: dict[str, Path] = field(default_factory=dict)  # sockets
    uploads: dict[str, bytes] = field(default_factory=dict)
    credentials: dict[str, tuple[str, str]] = field(default_factory=dict)
    stats: list[Stat] | None = None  # told instead of those of the directory
    archive: bytes = b""  # what came for type=tar and the like
    tree: dict[str, bytes] = field(default_factory=dict)  # what came for type=local
    sent: list[str] = field(default_factory=list)  # files whose content was asked for
    asked: list[str] = field(default_factory=list)  # methods that were called
    healthy: bool = True  # what it says when it is asked


class Session:
    """Serves what is offered, as buildx does."""

    def __init__(self, offered: Offered) -> None:
        self._offered = offered
        self.id = ids.token()
        self._methods: dict[str, Callable[[Stream, Mapping[str, str]], Awaitable[None]]] = {
            "/moby.filesync.v1.FileSync/DiffCopy": self._send_files,
            "/moby.filesync.v1.FileSend/DiffCopy": self._take_output,
            "/moby.filesync.v1.Auth/Credentials": self._credentials,
            "/moby.buildkit.secrets.v1.Secrets/GetSecret": self._secret,
            "/moby.sshforward.v1.SSH/CheckAgent": self._check_agent,
            "/moby.sshforward.v1.SSH/ForwardAgent": self._forward_agent,
            "/moby.upload.v1.Upload/Pull": self._upload,
            "/grpc.health.v1.Health/Check": self._health,
        }
        self.local = False  # outputs are trees

    def headers(self, shared_key: str) -> dict[str, str]:
        """Return the headers that announce the session."""
        return {
            "X-Docker-Expose-Session-Uuid": self.id,
            "X-Docker-Expose-Session-Name": "test",
            "X-Docker-Expose-Session-Sharedkey": shared_key,
            "X-Docker-Expose-Session-Grpc-Method": ", ".join(self._methods),
        }

    async def accept(self, stream: Stream) -> None:
        """Serve one call."""
        metadata = dict(stream.headers)
        path = metadata[":path"]
        self._offered.asked.append(path.rpartition("/")[2])
        failed: CallFailed | None = None
        await stream.send_headers(_RESPONSE)
        try:
            await self._methods[path](stream, metadata)
        except CallFailed as error:
            failed = error
        await stream.send_headers(trailers(failed), end=True)

    async def _send_files(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        root = self._offered.directories.get(metadata["dir-name"])
        if root is None:
            raise CallFailed(Code.NOT_FOUND, "no access allowed to dir")
        only = [v for k, v in stream.headers if k == "followpaths"]
        exclude = [v for k, v in stream.headers if k == "exclude-patterns"]
        stats = self._offered.stats
        if stats is None or only:
            stats = _stats(root, only, exclude)
        for told in stats:
            await stream.send(message.encode(Packet(kind=PacketKind.STAT, stat=told)))
        await stream.send(message.encode(Packet(kind=PacketKind.STAT)))
        while (data := await stream.receive()) is not None:
            packet = message.decode(Packet, data)
            if packet.kind == PacketKind.FIN:
                await stream.send(message.encode(Packet(kind=PacketKind.FIN)))
                return
            path = stats[packet.number].path
            self._offered.sent.append(path)
            content = (root / path).read_bytes()
            for at in range(0, len(content), 32 << 10):
                piece = content[at : at + (32 << 10)]
                await stream.send(
                    message.encode(Packet(kind=PacketKind.DATA, number=packet.number, data=piece))
                )
            await stream.send(message.encode(Packet(kind=PacketKind.DATA, number=packet.number)))

    async def _take_output(self, stream: Stream, _metadata: Mapping[str, str]) -> None:
        if self.local:
            await self._take_tree(stream)
            return
        while (data := await stream.receive()) is not None:
            self._offered.archive += message.decode(BytesMessage, data).data

    async def _take_tree(self, stream: Stream) -> None:
        names: list[Stat] = []
        while (data := await stream.receive()) is not None:
            packet = message.decode(Packet, data)
            if packet.stat is None or packet.stat == Stat():
                break
            names.append(packet.stat)
        assert names == sorted(names, key=lambda s: s.path.split("/"))
        for number, told in enumerate(names):
            if gomode.to_kernel(told.mode) is None or not stat.S_ISREG(
                gomode.to_kernel(told.mode) or 0
            ):
                self._offered.tree[told.path] = told.link.encode()
                continue
            await stream.send(message.encode(Packet(kind=PacketKind.REQUEST, number=number)))
            content = b""
            while (data := await stream.receive()) is not None:
                piece = message.decode(Packet, data).data
                if not piece:
                    break
                content += piece
            self._offered.tree[told.path] = content
        await stream.send(message.encode(Packet(kind=PacketKind.FIN)))
        assert message.decode(Packet, await stream.receive() or b"").kind == PacketKind.FIN

    async def _secret(self, stream: Stream, _metadata: Mapping[str, str]) -> None:
        request = message.decode(GetSecretRequest, await stream.receive() or b"")
        value = self._offered.secrets.get(request.id)
        if value is None:
            raise CallFailed(Code.NOT_FOUND, f"secret {request.id}: not found")
        await stream.send(message.encode(GetSecretResponse(data=value)))

    async def _credentials(self, stream: Stream, _metadata: Mapping[str, str]) -> None:
        request = message.decode(CredentialsRequest, await stream.receive() or b"")
        user, secret = self._offered.credentials.get(request.host, ("", ""))
        await stream.send(message.encode(CredentialsResponse(username=user, secret=secret)))

    async def _check_agent(self, stream: Stream, _metadata: Mapping[str, str]) -> None:
        if not self._offered.agents:
            raise CallFailed(Code.UNKNOWN, "unset ssh forward key")
        await stream.receive()
        await stream.send(message.encode(CheckAgentResponse()))

    async def _forward_agent(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        path = self._offered.agents[metadata["buildkit.ssh.id"]]
        reader, writer = await asyncio.open_unix_connection(path)
        while (data := await stream.receive()) is not None:
            writer.write(message.decode(BytesMessage, data).data)
            await writer.drain()
            await stream.send(message.encode(BytesMessage(data=await reader.read(1000))))
        writer.close()

    async def _health(self, stream: Stream, _metadata: Mapping[str, str]) -> None:
        if not self._offered.healthy:
            raise CallFailed(Code.UNAVAILABLE, "the server has been stopped")
        await stream.receive()
        await stream.send(message.encode(HealthResponse(status=1)))

    async def _upload(self, stream: Stream, metadata: Mapping[str, str]) -> None:
        data = self._offered.uploads[metadata["urlpath"].removeprefix("/")]
        for at in range(0, len(data), 100_000):
            await stream.send(message.encode(BytesMessage(data=data[at : at + 100_000])))


def _stats(root: Path, only: list[str], exclude: list[str]) -> list[Stat]:
    found = []
    paths = sorted(root.rglob("*"), key=lambda p: p.relative_to(root).parts)
    for path in paths:
        name = str(path.relative_to(root))
        if (only and name not in only) or name in exclude:
            continue
        status = path.lstat()
        found.append(
            Stat(
                path=name,
                mode=gomode.from_kernel(status.st_mode),
                size=status.st_size if stat.S_ISREG(status.st_mode) else 0,
                mtime_ns=status.st_mtime_ns,
                link=str(path.readlink()) if path.is_symlink() else "",
            )
        )
    return found


class Client:
    """Both connections to one daemon."""

    def __init__(
        self, channel: Channel, session: Session, serving: asyncio.Task[None], owner: Supervisor
    ) -> None:
        self._channel = channel
        self._serving = serving
        self.session = session
        self._owner = owner
        self.told: list[StatusResponse] = []

    async def session_ended(self) -> None:
        """Wait until the daemon has hung the session up."""
        await asyncio.wait([self._serving])

    async def control(self, method: str, request: Struct, answer: type[M]) -> M:
        """Call the service Control."""
        return await self._channel.unary(CONTROL + method, request, answer)

    async def bridge(self, build: str, method: str, request: Struct, answer: type[M]) -> M:
        """Call the service LLBBridge for a build."""
        metadata = [("buildkit-controlapi-buildid", build)]
        return await self._channel.unary(BRIDGE + method, request, answer, metadata)

    async def stream(self, method: str, request: Struct, answer: type[M]) -> list[M]:
        """Call a method of Control that answers with a stream."""
        async with self._channel.call(CONTROL + method) as stream:
            await stream.send(message.encode(request), end=True)
            found = []
            while (data := await stream.receive()) is not None:
                found.append(message.decode(answer, data))
            await stream.outcome()
        return found

    async def solve(self, request: SolveRequest) -> dict[str, str]:
        """Solve, and listen to the progress beside it."""
        status = self._owner.start(self._status(request.ref), "status")
        try:
            answer = await self.control("Solve", request, SolveResponse)
        finally:
            await asyncio.wait([status])
        return answer.exporter_response

    async def _status(self, ref: str) -> None:
        self.told = await self.stream("Status", StatusRequest(ref=ref), StatusResponse)

    async def wait_for_output(self, ref: str, wanted: bytes) -> None:
        """Wait until a command of a build has written *wanted*."""
        async with self._channel.call(CONTROL + "Status") as stream:
            await stream.send(message.encode(StatusRequest(ref=ref)), end=True)
            text = b""
            while wanted not in text:
                data = await stream.receive()
                assert data is not None, text
                text += b"".join(log.msg for log in message.decode(StatusResponse, data).logs)

    def request(self, **fields: object) -> SolveRequest:
        """Return a request with the Dockerfile frontend and this session."""
        wanted: dict[str, object] = {
            "ref": ids.token(),
            "session": self.session.id,
            "frontend": "dockerfile.v0",
            "frontend_attrs": {"force-network-mode": "none"},
        }
        return SolveRequest(**(wanted | fields))  # type: ignore[arg-type]

    async def drive(self, request: SolveRequest, frontend: gateway.SolveRequest) -> dict[str, str]:
        """Solve as buildx does: the frontend is called from outside."""
        solving = self._owner.start(self.solve(request), "solve")
        await self.bridge(request.ref, "Ping", gateway.PingRequest(), gateway.PongResponse)
        answer = await self.bridge(request.ref, "Solve", frontend, gateway.SolveResponse)
        await self.bridge(
            request.ref,
            "Return",
            gateway.ReturnRequest(result=answer.result),
            gateway.ReturnResponse,
        )
        return await solving

    @property
    def names(self) -> list[str]:
        """The names of all steps that were told of, once each."""
        return list(dict.fromkeys(v.name for one in self.told for v in one.vertexes))

    @property
    def output(self) -> str:
        """What commands have written."""
        return b"".join(line.msg for one in self.told for line in one.logs).decode()


@asynccontextmanager
async def connect(
    socket: Path, offered: Offered | None = None, *, shared_key: str = ""
) -> AsyncIterator[Client]:
    """Connect to a daemon, offering something."""
    owner = Supervisor("client")
    session = Session(offered or Offered())
    head, control = await upgrade(socket, "/grpc")
    assert head.startswith(b"HTTP/1.1 101 "), head
    head, served = await upgrade(socket, "/session", session.headers(shared_key))
    assert head.startswith(b"HTTP/1.1 101 "), head
    connection = Connection(control, client=True)
    serving = owner.start(Connection(served, client=False, accept=session.accept).run(), "session")
    tasks = {owner.start(connection.run(), "control"), serving}
    try:
        yield Client(Channel(connection), session, serving, owner)
    finally:
        control.close()
        served.close()
        await asyncio.wait(tasks)
        await owner.close()
