"""BuildKit's protocol for one daemon: its two connections, and the services on the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from moorage.buildkit.control import Control
from moorage.buildkit.gateway import Gateway
from moorage.buildkit.session.links import Links
from moorage.buildkit.solves import Solves
from moorage.buildkit.wire.control import Platform, Version, WorkerRecord
from moorage.grpc.server import Server
from moorage.lib.version import VERSION

if TYPE_CHECKING:
    from moorage.build.service import Builder
    from moorage.grpc.connection import Duplex

SPOKEN: Final = "v0.13.1"  # BuildKit's release whose protocol this is
_LABELS: Final = "org.mobyproject.buildkit.worker."


class BuildKit:
    """One for the daemon."""

    def __init__(self, builder: Builder, host_gateway: Callable[[], str]) -> None:
        """*host_gateway* returns the address under which containers reach this host, or ""."""
        self.links = Links()
        self._builder = builder
        self._host_gateway = host_gateway
        self._solves = Solves()

    async def serve(self, duplex: Duplex) -> None:
        """Serve the control connection of a client. Cancel: its builds are undone."""
        worker = self._worker()
        methods = {
            **Control(self._builder, self.links, self._solves, worker).methods(),
            **Gateway(self._solves, worker).methods(),
        }
        await Server(methods).serve(duplex)

    def _worker(self) -> WorkerRecord:
        labels = {
            f"{_LABELS}executor": "oci",
            f"{_LABELS}snapshotter": "moorage",  # by which buildx knows what can be exported
            f"{_LABELS}moby.host-gateway-ip": self._host_gateway(),
        }
        return WorkerRecord(
            id="moorage",
            labels={name: value for name, value in labels.items() if value},
            platforms=[Platform.of(self._builder.platform)],
            version=Version(package="moorage", version=f"{SPOKEN}-moorage", revision=VERSION),
        )
