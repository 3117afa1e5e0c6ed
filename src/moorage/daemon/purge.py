"""``moord --purge``: take away all that daemons with these roots have made on the host."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from moorage.daemon import domain_settings, domains, ownership, wiring
from moorage.daemon.config import Config
from moorage.kernel import mount
from moorage.lib import atomicfile
from moorage.lib.errors import MoorageError, System
from moorage.netlink.nft import Nft
from moorage.networks.firewall import rules

log = logging.getLogger(__name__)


def purge(config: Config) -> None:
    """Remove containers, networks, mounts and all files of both roots.

    What is stored is taken down in order first; if that fails (a damaged store), the rest goes on.
    Raises: System: a daemon runs on them, or something stays; then it can be done again.
    """
    roots = [Path(config.exec_root), Path(config.data_root)]
    with ExitStack() as owned:
        for root in roots:
            if root.exists():
                owned.enter_context(ownership.locked(root, "the directory"))
        if (roots[1] / domains.DATABASE).exists():
            try:
                asyncio.run(_dismantle(config))
            except (MoorageError, OSError, ExceptionGroup) as error:
                log.warning(
                    "not everything could be taken down in order: %s; bridges may stay", error
                )
            _remove_rules(config)
        _remove_cgroup_parents()
        for root in roots:
            _unmount_below(root)
            try:
                _remove_root(root)
            except OSError as error:
                raise System(f"cannot remove {root}: {error}") from error


@contextmanager
def _copied(database: Path, to: Path) -> Iterator[Path]:
    """Lend a copy of the database in the directory *to*, which a full disk cannot keep from going.

    The original, where there is no room for a copy.
    """
    with TemporaryDirectory(prefix="purge-", dir=to if to.is_dir() else None) as place:
        try:
            for file in database.parent.glob(f"{database.name}*"):
                shutil.copy(file, place)
        except OSError:
            yield database
        else:
            yield Path(place) / database.name


async def _dismantle(config: Config) -> None:
    """Remove the objects of the store through their domains."""
    quiet = msgspec.structs.replace(config, live_restore=False)
    stored = Path(config.data_root) / domains.DATABASE
    async with AsyncExitStack() as stack:
        copy = stack.enter_context(_copied(stored, Path(config.exec_root)))
        engine = (await wiring.build(quiet, stack, database=copy)).engine
        for container in list(engine.containers.parts.store.all()):
            try:
                await engine.containers.remove(container.id, force=True, volumes=True, link=False)
            except MoorageError as error:
                log.warning("container %s: %s", container.name, error)
        await engine.networks.dismantle()


def _remove_rules(config: Config) -> None:
    """Remove our nftables tables, which stay in force when the store could not be opened.

    Raises: System.
    """
    nft = Nft()
    try:
        nft.run(
            rules.remove_all(rules.table_name(domain_settings.instance_of(Path(config.data_root))))
        )
    finally:
        nft.close()


def _remove_cgroup_parents() -> None:
    """Remove the parent of all containers in each hierarchy, unless another daemon uses it."""
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for parent in (hierarchy / "moorage", hierarchy.parent / "moorage"):
            with suppress(OSError):  # not there, or not empty
                parent.rmdir()


def _remove_root(root: Path) -> None:
    """Remove a root; one that is a file system of its own is emptied and stays mounted."""
    doomed = list(root.iterdir()) if root.is_mount() else [root]
    for path in doomed:
        atomicfile.remove_tree(path)


def _unmount_below(root: Path) -> None:
    """Detach every mount below *root*, the innermost first."""
    prefix = f"{root.resolve()}/"
    targets = [entry.target for entry in mount.mountinfo() if entry.target.startswith(prefix)]
    for target in reversed(targets):
        log.debug("unmount %s", target)
        mount.umount2(target, mount.MNT_DETACH)
