"""The contract of a volume driver: ``local``, or a plugin behind its socket.

A *volume* is a directory on this host that containers share. A driver makes and removes it
(``create``, ``remove``), tells where it is (``get``, ``list``), and brings it up for a *user*
(``mount``, ``unmount``); a user is the id of a container, or of an operation such as a backup.

``mount`` and ``unmount`` may be called twice for one user and change nothing the second time; the
mount point stays up while one user is left. Every method may raise any class of ``lib.errors``;
``get`` raises NotFound for a volume the driver does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from moorage.volumes.record import VolumeRecord


class DriverVolume(Struct, frozen=True, kw_only=True):
    """What a driver says about one volume."""

    name: str
    mountpoint: str = ""  # empty: the driver tells it only while mounted
    created_at: str = ""
    status: dict[str, object] | None = None


class VolumeDriver(Protocol):
    """One way to keep volumes."""

    name: str
    scope: str  # "local", or "global" where every host of a cluster sees the same volumes

    async def create(self, volume: VolumeRecord) -> None:
        """Make the volume; one that is there already is an error of the driver's choice."""

    async def remove(self, volume: VolumeRecord) -> None:
        """Remove the volume and what it holds; absent is fine."""

    async def get(self, name: str) -> DriverVolume:
        """Describe one volume."""

    async def list(self) -> list[DriverVolume]:
        """Describe all volumes of the driver."""

    async def mount(self, volume: VolumeRecord, user: str) -> Path:
        """Bring the volume up for *user*; return where it is."""

    async def unmount(self, volume: VolumeRecord, user: str) -> None:
        """Release what ``mount`` did for *user*."""
