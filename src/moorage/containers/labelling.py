"""SELinux labels of containers: whose they share, and what of the host gets them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moorage.containers.validate_namespaces import joined_container
from moorage.lib import offload
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.runtime import selinux_label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moorage.containers.parts import Parts
    from moorage.containers.record import ContainerRecord, MountRecord
    from moorage.containers.spec_mounts import OwnFile
    from moorage.spec.engine.hostconfig import HostConfig


def security_opt(parts: Parts, host: HostConfig) -> list[str] | None:
    """Return the options of a container: one that joins another's namespaces has its label.

    What the user says of labels goes before that.
    Raises: InvalidParameter (the other is not there; two others with different labels).
    """
    given = host.security_opt
    if any(option.partition("=")[0] == "label" for option in given or ()):
        return given
    joined = filter(None, map(joined_container, (host.pid_mode, host.ipc_mode)))
    found = [selinux_label.duplicate(_process_label(parts, other)) for other in joined]
    if not found:
        return given
    if any(options != found[0] for options in found):
        raise InvalidParameter("--ipc and --pid containers SELinux labels aren't the same")
    return [*(given or []), *(f"label={option}" for option in found[0])] or None


def _process_label(parts: Parts, reference: str) -> str:
    try:
        return parts.store.get(reference).record.process_label
    except NotFound as error:
        raise InvalidParameter(error.message) from error


async def mount_source(parts: Parts, record: ContainerRecord, mount: MountRecord) -> None:
    """Label the source of a bind that asks for it (``z``, ``Z``), and every volume.

    *Preconditions*: the source is there. Raises: System.
    """
    label = record.mount_label
    if not parts.runtime.selinux.applied(label) or not (mount.relabel or mount.type == "volume"):
        return
    source = mount.source
    if mount.type == "volume":
        source = parts.volumes.get(mount.name).mountpoint
    if source:
        shared = mount.relabel != "Z"
        await offload.run_disposable(parts.runtime.selinux.relabel, source, label, shared=shared)


def own_files(
    parts: Parts, record: ContainerRecord, files: Iterable[OwnFile], *, shared: bool
) -> None:
    """Label hosts, hostname and resolv.conf, *shared* with the container whose network it is."""
    for file in files:
        parts.runtime.selinux.relabel(Path(file.source), record.mount_label, shared=shared)
