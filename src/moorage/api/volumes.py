"""Routes of the ``Volume`` tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from moorage.api.request import Request
from moorage.api.results import Created, NoContent, Stream
from moorage.api.routing import route
from moorage.lib.errors import Unavailable
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.volume import (
    Volume,
    VolumeCreateRequest,
    VolumeListResponse,
    VolumePruneResponse,
)
from moorage.volumes import transfer

if TYPE_CHECKING:
    from moorage.volumes.service import Volumes

_TAR: Final = "application/x-tar"


class FiltersQuery(Struct, frozen=True):
    """``filters`` alone."""

    filters: Filters = field(default_factory=Filters)


class DeleteQuery(Struct, frozen=True):
    """Parameters of ``VolumeDelete``."""

    force: bool = False


class BackupQuery(Struct, frozen=True):
    """Parameters of ``VolumeBackup``."""

    compression: str = ""


class RestoreQuery(Struct, frozen=True):
    """Parameters of ``VolumeRestore``."""

    create: bool = False  # make the volume if there is none


class NameQuery(Struct, frozen=True):
    """Parameters of ``VolumeCopy`` and ``VolumeRename``: the new volume, the new name."""

    name: str = ""


@route("GET", "/volumes", "VolumeList")
async def volume_list(volumes: Volumes, query: FiltersQuery) -> VolumeListResponse:
    """200; 400 unknown filter."""
    return await volumes.list(query.filters)


@route("POST", "/volumes/create", "VolumeCreate")
async def volume_create(volumes: Volumes, body: VolumeCreateRequest) -> Created:
    """201, also for one that exists; 400 bad option; 404 no such driver; 409 other driver."""
    if body.cluster_volume_spec is not None:
        raise Unavailable(
            "This node is not a swarm manager. Use"
            ' "docker swarm init" or "docker swarm join" to connect this node to swarm and try'
            " again."
        )
    return Created(
        await volumes.create(
            body.name, driver=body.driver, options=body.driver_opts, labels=body.labels
        )
    )


@route("GET", "/volumes/{name}", "VolumeInspect")
async def volume_inspect(volumes: Volumes, name: str) -> Volume:
    """200; 404 no such volume."""
    return await volumes.inspect(name)


@route("PUT", "/volumes/{name}", "VolumeUpdate")
def volume_update(volumes: Volumes, name: str) -> None:  # noqa: ARG001 - of the path
    """503: only cluster volumes can be updated."""
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


@route("DELETE", "/volumes/{name}", "VolumeDelete")
async def volume_delete(volumes: Volumes, name: str, query: DeleteQuery) -> NoContent:
    """204; 404 no such volume; 409 in use."""
    await volumes.remove(name, force=query.force)
    return NoContent()


@route("POST", "/volumes/prune", "VolumePrune")
async def volume_prune(volumes: Volumes, query: FiltersQuery) -> VolumePruneResponse:
    """200; 400 unknown filter."""
    return await volumes.prune(query.filters)


# -- operations of our own -----------------------------------------------------------------------


@route("GET", "/volumes/{name}/archive", "VolumeBackup")
async def volume_backup(volumes: Volumes, name: str, query: BackupQuery) -> Stream:
    """200 with a tar; 400 unknown compression; 404 no such volume."""
    return Stream(_TAR, transfer.backup(volumes, name, kind=query.compression), eager=False)


@route("PUT", "/volumes/{name}/archive", "VolumeRestore")
async def volume_restore(
    volumes: Volumes, name: str, query: RestoreQuery, request: Request
) -> None:
    """200; 400 no archive; 404 no such volume; 409 mounted by a container."""
    await transfer.restore(volumes, name, request.body_stream(), create=query.create)


@route("POST", "/volumes/{name}/copy", "VolumeCopy")
async def volume_copy(volumes: Volumes, name: str, query: NameQuery) -> Created:
    """201; 404 no such volume; 409 the new name exists."""
    return Created(await transfer.copy(volumes, name, query.name))


@route("POST", "/volumes/{name}/rename", "VolumeRename")
async def volume_rename(volumes: Volumes, name: str, query: NameQuery) -> NoContent:
    """204; 400 bad name; 404 no such volume; 409 in use, or the new name exists."""
    await volumes.rename(name, query.name)
    return NoContent()
