"""The users of a RUN where the daemon remaps: a namespace, and how its files look from inside.

Layers, contexts and caches keep on the disk the owners of inside; the command sees them through
mounts on which they are mapped, and what it makes is stored the same way.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from moorage.build.graph import Exec
from moorage.kernel import idmap
from moorage.kernel.idmap import IdMap
from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import userns
from moorage.runtime.userns import UserNamespace


class Users:
    """The user namespace of one command; none of it does anything where nothing is mapped."""

    def __init__(
        self, owners: IdMap | None = None, user: int = -1, network: int | None = None
    ) -> None:
        self.owners = owners
        self.network = network  # a fresh network namespace that belongs to it
        self._user = user

    def owner(self, uid: int, gid: int) -> tuple[int, int]:
        """Return whose on the host a file must be that is *uid*'s and *gid*'s inside."""
        return self.owners.owner(uid, gid) if self.owners else (uid, gid)

    def show(self, directory: Path, place: Path) -> Path:
        """Return where owners in *directory* are seen as inside; *place* becomes a mount. Blocks.

        Raises: System (its file system cannot).
        """
        if self.owners is None:
            return directory
        place.mkdir(mode=0o700)
        try:
            idmap.bind(directory, place, self._user)
        except OSError as error:
            raise System(f"cannot map the owners of {directory}: {error.strerror}") from error
        return place

    def give(self, path: Path) -> None:
        """Make a file of the daemon's that of root inside. Blocks."""
        if self.owners is not None:
            os.chown(path, *self.owners.root, follow_symlinks=False)

    def namespace(self, directory: Path, roots: dict[Path, Path]) -> UserNamespace | None:
        """Pin the namespace in *directory*, and let its root pass through to what it is shown.

        *roots*: a directory that it has to reach, and above which one others see to it. Blocks.
        """
        if self.owners is None:
            return None
        handle = directory / "userns" / "user"
        userns.pin(self._user, handle)
        for path, below in roots.items():
            userns.let_through(path, self.owners, below)
        return UserNamespace(str(handle), self.owners)


@asynccontextmanager
async def lend(owners: IdMap | None, command: Exec) -> AsyncIterator[Users]:
    """Lend the users of a command.

    Raises: InvalidParameter (it asks for more than a user namespace leaves), System.
    """
    if owners is None:
        yield Users()
        return
    if command.insecure:
        raise InvalidParameter(
            "privileged mode is incompatible with user namespaces",
            hint="this daemon runs with userns-remap: leave out --security=insecure",
        )
    if command.network == "host":
        raise InvalidParameter(
            "cannot share the host's network namespace when user namespaces are enabled"
        )
    async with AsyncExitStack() as lending:
        try:
            lender = userns.lend(*owners.texts(), network=True)
            lent = await lending.enter_async_context(lender)
        except OSError as error:
            raise System(f"cannot make a user namespace: {error.strerror or error}") from error
        yield Users(owners, lent.user, lent.network)
