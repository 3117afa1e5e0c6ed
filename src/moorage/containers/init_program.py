"""``--init``: a small program of the host that reaps and forwards signals, shown inside."""

from __future__ import annotations

import os
from typing import Final

from moorage.containers.record import MountRecord
from moorage.containers.spec_from_config import INIT_IN_CONTAINER
from moorage.containers.spec_mounts import ReadyMount
from moorage.lib.errors import System

_CANDIDATES: Final = (
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
    "/usr/local/bin/docker-init",
    "/usr/bin/tini-static",
    "/usr/bin/tini",
    "/usr/bin/catatonit",
    "/usr/libexec/podman/catatonit",
)


def find_any() -> str:
    """Return the path of an init that the host has; empty if it has none."""
    return next((path for path in _CANDIDATES if os.access(path, os.X_OK)), "")


def find(configured: str) -> str:
    """Return the path of the init on the host.

    Raises: System.
    """
    found = configured or find_any()
    if found and os.access(found, os.X_OK):
        return found
    raise System("no init program was found on the host", hint="install tini, or set init-path")


def mount(path: str) -> ReadyMount:
    """Return the mount that shows it inside."""
    record = MountRecord(
        type="bind",
        source=path,
        destination=INIT_IN_CONTAINER,
        writable=False,
        propagation="rprivate",
    )
    return ReadyMount(record, path)
