"""The daemon's side of the embedded name server: keeps it running and tells it all names."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import moorage
from moorage.kernel import spawn
from moorage.lib import offload
from moorage.lib.errors import MoorageError
from moorage.lib.tasks import Supervisor
from moorage.networks import nameport
from moorage.networks.nameport import NameSockets
from moorage.networks.nameserver.protocol import MAX_PACKET, VERSION

log = logging.getLogger(__name__)

Packet = dict[str, object]

_SOCKET: Final = "names.sock"
_START: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    " from moorage.networks.nameserver.program import main; main()"
)
_RETRY_S: Final = 0.5
_IDLE_S: Final = 60.0  # without anybody to serve, until the name server is let go


class Names:
    """Connection to the name server, which runs while there are sandboxes to serve.

    It is started when it is not there, and told all anew. Until it answers, the sockets of a new
    sandbox are kept here: questions wait in them.

    *account* gives every packet of a full account, *handles* the namespaces of the sandboxes that
    are to be served, by sandbox id.
    """

    def __init__(
        self,
        exec_root: Path,
        supervisor: Supervisor,
        account: Callable[[], Iterable[Packet]],
        handles: Callable[[], dict[str, Path]],
    ) -> None:
        self._path = exec_root / _SOCKET
        self._supervisor = supervisor
        self._account = account
        self._handles = handles
        self._socket: socket.socket | None = None
        self._queue: deque[tuple[bytes, NameSockets | None]] = deque()
        self._kept: dict[str, NameSockets] = {}  # by sandbox id
        self._keeper: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._reaper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Find or start the name server, if it is needed, and bring it up to date."""
        if self._handles():
            await self._meet()
            self._want()
        elif (left := await self._connect()) is not None:  # of a daemon that was killed
            await asyncio.get_running_loop().sock_sendall(left, b'{"op": "exit"}')
            left.close()

    def _want(self) -> None:
        """Keep a name server running from now on."""
        if self._keeper is None:
            self._keeper = self._supervisor.start(self._keep(), "name server")

    async def close(self, *, end: bool) -> None:
        """Let go of the name server; *end* it if nobody needs it."""
        if self._idle is not None:
            self._idle.cancel()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if end:
            self._let_go()
        self._drop()
        self._forget_kept()

    def tell(self, packet: Packet, sockets: NameSockets | None = None) -> None:
        """Send a packet; while the server is away it is lost, and the next account makes up for it.

        *sockets* are handed over and closed here; they are what a name server is started for.
        """
        if packet["op"] == "remove":
            self._removed(str(packet["sandbox"]))
        if self._socket is None:
            if sockets is not None:
                self._kept[str(packet["sandbox"])] = sockets
                self._want()
            return
        self._queue.append((json.dumps(packet).encode(), sockets))
        if len(self._queue) == 1:
            self._flush()

    def _removed(self, sandbox: str) -> None:
        if (kept := self._kept.pop(sandbox, None)) is not None:
            kept.close()
        if self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._rest)

    def _rest(self) -> None:
        """End the name server if nobody needs it."""
        self._idle = None
        if self._handles() or self._keeper is None:
            return
        self._keeper.cancel()
        self._keeper = None
        self._let_go()
        self._drop()

    def _let_go(self) -> None:
        self.tell({"op": "exit"})
        self._path.unlink(missing_ok=True)

    def _forget_kept(self) -> None:
        for sockets in self._kept.values():
            sockets.close()
        self._kept.clear()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue and self._socket is not None:
            data, sockets = self._queue[0]
            try:
                socket.send_fds(self._socket, [data], sockets.fds() if sockets else [])
            except BlockingIOError:
                loop.add_writer(self._socket, self._flush)
                return
            except OSError:
                self._drop()
                return
            self._queue.popleft()
            if sockets is not None:
                sockets.close()
        if self._socket is not None:
            loop.remove_writer(self._socket)

    def _drop(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_writer(self._socket)
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for _, sockets in self._queue:
            if sockets is not None:
                sockets.close()
        self._queue.clear()

    async def _keep(self) -> None:
        """Notice the end of the server and bring another up in its place."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if self._socket is None:
                    await self._meet()
                assert self._socket is not None  # noqa: S101 - met, or it raised
                while await loop.sock_recv(self._socket, MAX_PACKET):
                    pass
            except (OSError, MoorageError, ValueError) as error:
                log.warning("name server: %s", error)
                await asyncio.sleep(_RETRY_S)
            self._drop()

    async def _meet(self) -> None:
        """Connect, starting the server if need be, and give a full account."""
        self._drop()
        sock = await self._connect() or await self._start()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b'{"op": "hello"}')
        known = json.loads(await loop.sock_recv(sock, MAX_PACKET))
        if known["version"] != VERSION:
            await loop.sock_sendall(sock, b'{"op": "exit"}')
            sock.close()
            sock = await self._start()
            known = {"sandboxes": []}
        self._socket = sock
        wanted = self._handles()
        for name in known["sandboxes"]:
            if name not in wanted:
                self.tell({"op": "remove", "sandbox": name})
        for name, handle in wanted.items():
            if name in known["sandboxes"]:
                continue
            if (kept := self._kept.pop(name, None)) is not None:
                self.tell({"op": "add", "sandbox": name}, kept)
            else:
                await self._serve(name, handle)
        self._forget_kept()
        self.tell({"op": "begin"})
        for packet in self._account():
            self.tell(packet)
        self.tell({"op": "commit"})

    async def _serve(self, name: str, handle: Path) -> None:
        try:
            sockets = await offload.run_disposable(nameport.listen_in, handle)
        except (OSError, MoorageError) as error:
            log.warning("no names for sandbox %s: %s", name[:12], error)
            return
        self.tell({"op": "add", "sandbox": name}, sockets)

    async def _connect(self) -> socket.socket | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        sock.settimeout(0)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            return None
        return sock

    async def _start(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as listener:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(4)
            source = Path(moorage.__file__).parent.parent
            process = spawn.start(
                [sys.executable, *spawn.LEAN_PYTHON, "-c", _START, str(source), str(self._path)],
                files={3: listener.fileno()},
                new_session=True,
            )
        self._reaper = self._supervisor.start(_reap(process), "end of the name server")
        sock = await self._connect()
        if sock is None:
            raise OSError("the name server cannot be reached")
        return sock


async def _reap(process: spawn.Process) -> None:
    await process.wait()
