"""What is saved of a container: one frozen value, replaced whole at every change.

Readers (list, inspect, events) hold such a value and can therefore never wait for a container.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from moorage.containers.state import State
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.engine.mount import Mount
from moorage.spec.engine.network import EndpointSettings


class Intent(StrEnum):
    """What was begun and not yet finished; after a crash it is undone (or, for removal, finished).

    Written before the act, cleared with its result.
    """

    NONE = ""
    CREATE = "create"
    START = "start"
    RELEASE = "release"  # it has ended; what it held of the host is being given back
    REMOVE = "remove"


class MountRecord(Struct, frozen=True, kw_only=True):
    """One mount of a container, resolved at create."""

    type: str  # bind, volume, tmpfs, image
    destination: str
    source: str = ""  # bind: path on the host; image: its reference
    name: str = ""  # volume: its name
    driver: str = ""  # volume: its driver
    mode: str = ""  # the third part of ``-v a:b:mode`` as given
    writable: bool = True
    propagation: str = ""
    copy_up: bool = False  # volume: fill it from the image when empty
    anonymous: bool = False  # volume: made for this container, goes with ``rm -v``
    create_source: bool = False  # bind by ``-v``: a missing path is made
    subpath: str = ""
    relabel: str = ""  # "", "z" or "Z"
    map_owner: bool = False  # mode "U": the source's owner is seen as the container's user
    spec: Mount | None = None  # as asked for by ``--mount``


class Pending(Struct, frozen=True, kw_only=True):
    """What an update asked for that counts from the next start on; ``None`` leaves what there is.

    Each is the whole list that is wanted, as in the configuration.
    """

    env: list[str] | None = None
    binds: list[str] | None = None
    mounts: list[Mount] | None = None


class ContainerRecord(Struct, frozen=True, kw_only=True):
    """A container as it is saved."""

    id: str
    name: str
    created_ns: int
    image_id: str  # "" only for a container without image
    config: ContainerConfig
    host_config: HostConfig
    path: str = ""
    args: list[str] = []
    endpoints: dict[str, EndpointSettings] = {}  # asked for, by network name or id
    unplugged: bool = False  # taken off its last network: it joins none by itself any more
    mounts: list[MountRecord] = []
    driver: str = ""
    platform: str = "linux"
    log_path: str = ""  # "" when the log driver keeps no file
    apparmor_profile: str = ""
    process_label: str = ""
    mount_label: str = ""
    pending: Pending | None = None
    device_groups: list[int] = []  # that its devices gave it at the last start (CDI)

    state: State = State.CREATED
    intent: Intent = Intent.NONE
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_ns: int = 0
    finished_ns: int = 0
    restart_count: int = 0
    stopped_by_user: bool = False  # ``unless-stopped`` and ``always`` look at it after a reboot
    thaws: bool = False  # it was frozen for a commit, not by a user
    names_in_links: list[str] = []  # ``/parent/alias``, shown among the names
