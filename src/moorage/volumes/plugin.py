"""Volumes of a plugin: the ``VolumeDriver`` part of Docker's plugin protocol."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct, field

from moorage.lib import offload
from moorage.lib.errors import MoorageError, NotFound, NotImplemented_, System
from moorage.plugins.protocol import Nothing, PluginClient, PluginRefusal
from moorage.volumes.driver import DriverVolume
from moorage.volumes.record import VolumeRecord

Answer = TypeVar("Answer", bound=Struct)
SUBSYSTEM: Final = "VolumeDriver"
_LONG_S: Final = 120.0  # creating or mounting may mean work elsewhere
_SHORT_S: Final = 60.0


class _CreateRequest(Struct, frozen=True, rename="pascal"):
    name: str
    opts: dict[str, str] | None


class _NameRequest(Struct, frozen=True, rename="pascal"):
    name: str


class _MountRequest(Struct, frozen=True, rename="pascal"):
    name: str
    id: str = field(name="ID")


class _MountAnswer(Struct, frozen=True, rename="pascal"):
    mountpoint: str = ""


class _Volume(Struct, frozen=True, rename="pascal"):
    name: str = ""
    mountpoint: str = ""
    created_at: str = ""
    status: dict[str, object] | None = None

    def described(self, name: str = "") -> DriverVolume:
        return DriverVolume(
            name=self.name or name,
            mountpoint=self.mountpoint,
            created_at=self.created_at,
            status=self.status,
        )


class _GetAnswer(Struct, frozen=True, rename="pascal"):
    volume: _Volume | None = None


class _ListAnswer(Struct, frozen=True, rename="pascal"):
    volumes: list[_Volume] = []


class _Capability(Struct, frozen=True, rename="pascal"):
    scope: str = "local"


class _CapabilitiesAnswer(Struct, frozen=True, rename="pascal"):
    capabilities: _Capability = _Capability()


class PluginDriver:
    """The volumes of one plugin."""

    def __init__(self, client: PluginClient, scope: str) -> None:
        self._client = client
        self.name = client.name
        self.scope = scope

    @classmethod
    async def connect(cls, client: PluginClient) -> PluginDriver:
        """Ask for the capabilities; a plugin that does not know the question is local."""
        try:
            answer = await client.call(
                "VolumeDriver.Capabilities", Nothing(), _CapabilitiesAnswer, timeout_s=_SHORT_S
            )
        except (NotImplemented_, PluginRefusal):
            return cls(client, "local")
        scope = answer.capabilities.scope.lower()
        return cls(client, scope if scope in {"local", "global"} else "local")

    async def create(self, volume: VolumeRecord) -> None:
        """Create, unless the plugin has the volume already."""
        try:
            await self.get(volume.name)
        except NotFound:
            request = _CreateRequest(volume.name, volume.options)
            await self._call("Create", request, Nothing, _LONG_S)

    async def remove(self, volume: VolumeRecord) -> None:
        """Remove."""
        await self._call("Remove", _NameRequest(volume.name), Nothing, _SHORT_S)

    async def get(self, name: str) -> DriverVolume:
        """Describe a volume. Raises: NotFound, if the plugin says no."""
        try:
            answer = await self._client.call(
                "VolumeDriver.Get", _NameRequest(name), _GetAnswer, timeout_s=_SHORT_S
            )
        except PluginRefusal as error:
            raise NotFound(f"get {name}: no such volume: {error.message}") from error
        if answer.volume is None:
            raise NotFound(f"get {name}: no such volume")
        return answer.volume.described(name)

    async def list(self) -> list[DriverVolume]:
        """Describe all volumes."""
        answer = await self._call("List", Nothing(), _ListAnswer, _SHORT_S)
        return [volume.described() for volume in answer.volumes if volume.name]

    async def mount(self, volume: VolumeRecord, user: str) -> Path:
        """Bring the volume up. Raises: System, if what the plugin says is no directory's path."""
        answer = await self._call("Mount", _MountRequest(volume.name, user), _MountAnswer, _LONG_S)
        path = Path(answer.mountpoint)
        lie = ""
        if not path.is_absolute() or ".." in path.parts:
            lie = "it must be an absolute path"
        elif not await offload.run_disposable(path.exists):
            lie = "there is nothing at that place"
        if lie:
            with suppress(MoorageError):
                await self.unmount(volume, user)
            raise System(
                f"plugin {self.name} gave {answer.mountpoint!r} as the mountpoint of volume"
                f" {volume.name}",
                hint=lie,
            )
        return path

    async def unmount(self, volume: VolumeRecord, user: str) -> None:
        """Release."""
        await self._call("Unmount", _MountRequest(volume.name, user), Nothing, _SHORT_S)

    async def _call(
        self, method: str, request: Struct, answer: type[Answer], timeout_s: float
    ) -> Answer:
        try:
            return await self._client.call(
                f"{SUBSYSTEM}.{method}", request, answer, timeout_s=timeout_s
            )
        except PluginRefusal as error:
            raise System(error.message) from error
