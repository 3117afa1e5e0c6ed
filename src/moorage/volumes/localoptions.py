"""Options of the ``local`` driver: ``type``, ``device``, ``o`` and ``size``; pure.

Without the first three a volume is a plain directory. With them it is a mount that is made when
the first container needs it: any file system the kernel has, a bind of a host path, NFS, CIFS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

from moorage.lib import units
from moorage.lib.errors import InvalidParameter
from moorage.volumes import mountoptions

_KNOWN: Final = ("type", "o", "device", "size")
_NEEDS: Final = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_NETWORK_TYPES: Final = frozenset({"nfs", "nfs4", "cifs", "smb3"})
_ADDRESS: Final = re.compile(r"(?:^|,)addr=([^,]*)")
_SECRET: Final = re.compile(r"\b(password2?|pass)=[^,]*")


class LocalOptions(Struct, frozen=True, kw_only=True):
    """The options, checked."""

    fstype: str = ""
    device: str = ""
    options: str = ""
    size_bytes: int = 0  # 0: no limit

    @property
    def mounted(self) -> bool:
        """Whether the volume is a mount, not a plain directory."""
        return bool(self.device)

    @property
    def networked(self) -> bool:
        """Whether bringing it up waits for another machine."""
        return self.fstype in _NETWORK_TYPES

    @property
    def server(self) -> str:
        """Return the host to look up before the mount, or nothing.

        The kernel wants ``addr=`` as a number and does no look-up itself: mount.nfs(8) and
        mount.cifs(8) do it for users, and we do not run them.
        """
        if not self.networked:
            return ""
        if given := _ADDRESS.search(self.options):
            return given[1]
        if self.fstype in {"cifs", "smb3"}:
            return (
                self.device.removeprefix("cifs:").lstrip("/").partition("/")[0].rpartition("@")[2]
            )
        host, colon, _ = self.device.rpartition(":/")
        return host.strip("[]") if colon else ""

    def with_address(self, address: str) -> LocalOptions:
        """Return the options with the server's *address* in place of its name."""
        if _ADDRESS.search(self.options):
            changed = _ADDRESS.sub(lambda m: m[0].replace(m[1], address), self.options, count=1)
        else:
            changed = f"{self.options},addr={address}".lstrip(",")
        return structs.replace(self, options=changed)

    def split(self) -> mountoptions.MountOptions:
        """Return flags and data for mount(2)."""
        return mountoptions.parse(self.options)


def parse(options: Mapping[str, str] | None) -> LocalOptions:
    """Check the driver options of ``volume create``.

    Raises: InvalidParameter, with Docker's sentences.
    """
    given = options or {}
    for name in given:
        if name not in _KNOWN:
            raise InvalidParameter(
                f'invalid option: "{name}"', hint="the local driver knows " + ", ".join(_KNOWN)
            )
    for name, needed in _NEEDS.items():
        for other in needed:
            if name in given and other not in given:
                raise InvalidParameter(f'missing required option: "{other}"')
    if "size" in given and "device" in given:
        raise InvalidParameter(
            'option "size" is for plain volumes', hint="a tmpfs takes its size as o=size=64m"
        )
    if "device" in given and not given["device"]:
        raise InvalidParameter("missing device in volume options")
    return LocalOptions(
        fstype=given.get("type", ""),
        device=given.get("device", ""),
        options=given.get("o", ""),
        size_bytes=_size(given["size"]) if "size" in given else 0,
    )


def _size(text: str) -> int:
    try:
        size = units.parse_bytes(text)
    except ValueError as error:
        raise InvalidParameter(str(error), hint="such as size=512m or size=10g") from error
    if size <= 0:
        raise InvalidParameter(f"invalid size: '{text}'", hint="it must be more than nothing")
    return size


def redact(text: str) -> str:
    """Hide passwords of mount options in *text*, which may go to a log or a client."""
    return _SECRET.sub(lambda m: f"{m[1]}=********", text)
