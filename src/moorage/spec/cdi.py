"""The Container Device Interface (versions 0.3 to 1.0): its documents as types, names and fields.

A vendor describes its devices in a file; each device is a set of edits to the OCI specification of
the container that asks for it by ``vendor/class=name``. A key that is not here is an error, as for
the reference implementation: a device that is given in part only would fail later and elsewhere.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field

Number: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
"""A user, a group, or half of a device's number."""


class DeviceNode(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A device node to make in the container."""

    path: str
    host_path: str = ""  # "" = *path*
    type: str = ""  # b c u p; "" = that of the node on the host
    major: Number = 0  # 0 = both numbers are those of the node on the host
    minor: Number = 0
    file_mode: Number | None = None
    permissions: str = ""  # of r, w, m for the device cgroup; "" = all
    uid: Number | None = None
    gid: Number | None = None


class Mount(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A mount to make in the container."""

    host_path: str
    container_path: str
    options: list[str] | None = None
    type: str = ""


class Hook(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A program of the host to run at a point of the container's life."""

    hook_name: str
    path: str
    args: list[str] | None = None
    env: list[str] | None = None
    timeout: Number | None = None  # seconds


class IntelRdt(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Cache and memory bandwidth of Intel's Resource Director Technology."""

    clos_id: str = field(default="", name="closID")
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    enable_cmt: bool = field(default=False, name="enableCMT")
    enable_mbm: bool = field(default=False, name="enableMBM")


class ContainerEdits(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a device changes in the specification of a container."""

    env: list[str] | None = None
    device_nodes: list[DeviceNode] | None = None
    hooks: list[Hook] | None = None
    mounts: list[Mount] | None = None
    intel_rdt: IntelRdt | None = None
    additional_gids: list[Number] | None = field(default=None, name="additionalGids")


class Device(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One device of a file."""

    name: str
    annotations: dict[str, str] | None = None  # about the device; they reach no container
    container_edits: ContainerEdits = ContainerEdits()


class Specification(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A whole file; *container_edits* are made for any of its devices."""

    cdi_version: str
    kind: str  # vendor/class
    annotations: dict[str, str] | None = None
    devices: list[Device] | None = None
    container_edits: ContainerEdits = ContainerEdits()
