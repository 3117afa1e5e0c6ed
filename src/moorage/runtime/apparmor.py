"""AppArmor as the daemon uses it: its default profile is in the kernel, and each process has one.

Where the kernel has no AppArmor, or this is no host of its own (``container`` in the environment,
as containerd reads it), nothing is done and nothing is said of it.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Final

from moorage.kernel import spawn
from moorage.lib import offload
from moorage.lib.errors import System
from moorage.runtime import apparmor_profile
from moorage.runtime.apparmor_profile import NAME, UNCONFINED

log = logging.getLogger(__name__)

_TIME_LIMIT_S: Final = 30.0


class AppArmor:
    """One for the daemon. *sysfs* is where the kernel shows its files, *parser* loads profiles."""

    def __init__(
        self,
        *,
        sysfs: Path = Path("/sys"),
        attributes: Path = Path("/proc/self/attr"),
        parser: str = "apparmor_parser",
    ) -> None:
        self._profiles = sysfs / "kernel/security/apparmor/profiles"
        self._switch = sysfs / "module/apparmor/parameters/enabled"
        self._attributes = attributes
        self._program = parser
        self._parser: str | None = None  # where it is, if it is there
        self.enabled = False
        self.warnings: list[str] = []

    async def open(self) -> None:
        """Look at the host, and load the default profile where there is AppArmor.

        What fails is a warning: only containers that need the profile cannot start.
        """
        await offload.run("fs", self._look)
        if not self.enabled:
            return
        if self._parser is None:
            self._warn(
                f"AppArmor is enabled, but {self._program} is not there to load {NAME}: containers"
                " run without a profile; install the package apparmor and restart the daemon"
            )
            return
        try:
            await self._load()
        except System as error:
            self._warn(str(error))

    async def profile(self, chosen: str | None, *, privileged: bool) -> str:
        """Return the profile of a container's processes; "" where there is no AppArmor.

        *chosen* is the user's, and goes before all else.
        Raises: System, with Docker's sentence (it is not in the kernel).
        """
        if not self.enabled:
            return ""
        name = chosen or (UNCONFINED if privileged else NAME)
        if name == UNCONFINED or name in await offload.run("fs", self._loaded):
            return name
        if name != NAME:
            raise System(
                "unable to apply apparmor profile: apparmor failed to apply profile:"
                " no such file or directory",
                hint=f"the kernel has no profile {name}: load its file with {self._program} -r",
            )
        if self._parser is None:
            return ""
        await self._load()  # an upgrade of the host's AppArmor takes away what it does not know
        return name

    def _look(self) -> None:
        self.enabled = (
            _text(self._switch) == "Y" and self._profiles.exists() and "container" not in os.environ
        )
        self._parser = shutil.which(self._program, path=spawn.PATH)

    def _loaded(self) -> frozenset[str]:
        """Return the names of all profiles; each line is ``name (mode)``."""
        lines = self._profiles.read_text(errors="surrogateescape").splitlines()
        return frozenset(line.rpartition(" (")[0] for line in lines)

    async def _load(self) -> None:
        text = apparmor_profile.profile(NAME, daemon=await offload.run("fs", self._own))
        assert self._parser is not None  # noqa: S101 - the callers looked
        try:
            done = await spawn.run(
                [self._parser, "--replace", "--skip-cache"],
                stdin=text.encode(),
                timeout_s=_TIME_LIMIT_S,
            )
        except (OSError, TimeoutError) as error:
            raise _not_loaded(str(error) or "it takes too long") from error
        if done.code:
            raise _not_loaded(done.stderr.decode(errors="replace").strip())
        log.info("AppArmor profile %s is loaded", NAME)

    def _own(self) -> str:
        """Return the profile of this process."""
        said = _text(self._attributes / "apparmor/current") or _text(self._attributes / "current")
        return said.partition(" (")[0] or UNCONFINED

    def _warn(self, text: str) -> None:
        log.warning("%s", text)
        self.warnings.append(f"WARNING: {text}")


def _not_loaded(reason: str) -> System:
    return System(
        f"AppArmor enabled on system but the {NAME} profile could not be loaded: {reason}"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip().rstrip("\0")
    except OSError:
        return ""
