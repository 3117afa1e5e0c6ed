"""``moord --purge``: take away all that daemons with these roots have made on the host."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path

from moorage.daemon import ownership
from moorage.daemon.config import Config
from moorage.kernel import mount
from moorage.lib import atomicfile
from moorage.lib.errors import System

log = logging.getLogger(__name__)


def purge(config: Config) -> None:
    """Remove mounts, files and directories of both roots.

    Raises: System, while a daemon runs on them.
    """
    roots = [Path(config.exec_root), Path(config.data_root)]
    with ExitStack() as owned:
        for root in roots:
            if root.exists():
                owned.enter_context(ownership.locked(root, "the directory"))
        for root in roots:
            _unmount_below(root)
        for root in roots:
            try:
                atomicfile.remove_tree(root)
            except OSError as error:
                raise System(f"cannot remove {root}: {error}") from error


def _unmount_below(root: Path) -> None:
    """Detach every mount below *root*, the innermost first."""
    prefix = f"{root.resolve()}/"
    targets = [entry.target for entry in mount.mountinfo() if entry.target.startswith(prefix)]
    for target in reversed(targets):
        log.debug("unmount %s", target)
        mount.umount2(target, mount.MNT_DETACH)
