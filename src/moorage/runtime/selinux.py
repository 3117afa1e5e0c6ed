"""SELinux as the daemon uses it: every container has a label, and categories of its own.

It is switched on by ``selinux-enabled``, as in dockerd; where the kernel has none that is said once
and containers run without.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import relabel, selinux_label
from moorage.runtime.selinux_label import Labels, Policy

log = logging.getLogger(__name__)

_CATEGORIES: Final = 1024
_ATTEMPTS: Final = 10_000
_DEFAULT_POLICY: Final = "targeted"


class SELinux:
    """One for the daemon.

    Who has a level is known by its *holders* alone, who tell the mount labels of what there is: so
    a level is in use for as long as a record says so, over restarts of the daemon too.
    """

    def __init__(
        self,
        *,
        wanted: bool,
        filesystem: Path = Path("/sys/fs/selinux"),
        settings: Path = Path("/etc/selinux"),
        current: Path = Path("/proc/self/attr/current"),
    ) -> None:
        self._wanted = wanted
        self._filesystem = filesystem
        self._settings = settings
        self._current = current
        self._policy: Policy | None = None
        self.holders: list[Callable[[], Iterable[str]]] = []
        self.warnings: list[str] = []

    @property
    def enabled(self) -> bool:
        """Whether containers have labels."""
        return self._policy is not None

    def open(self) -> None:
        """Look at the host. Blocks."""
        if not self._wanted:
            return
        if not (self._filesystem / "enforce").exists() or _text(self._current) == "kernel":
            self._warn("could not enable SELinux on the host system: its kernel runs without")
            return
        contexts = self._settings / self._policy_name() / "contexts/lxc_contexts"
        try:
            self._policy = Policy.parse(_text(contexts))
        except InvalidParameter as error:
            self._warn(f"could not enable SELinux: {contexts}: {error}")
            return
        if self._policy is None:
            self._warn(
                f"could not enable SELinux: {contexts} names no types for containers;"
                " install a policy that has them"
            )

    def take(self, options: Iterable[str]) -> Labels:
        """Return the labels of a new container, whose level nobody has.

        The caller must record them before anybody else can ask. *options* are those of
        ``--security-opt label=``; without SELinux they mean nothing.
        Raises: InvalidParameter (no such option), System (all categories are in use).
        """
        if self._policy is None:
            return Labels()
        return selinux_label.make(self._policy, options, self._free_level())

    def relabel(self, path: str | Path, label: str, *, shared: bool) -> None:
        """Give a tree of the host to one container, or *shared* to all. Blocks.

        Nothing happens without SELinux, and where a file system keeps no labels.
        Raises: System (a place of the host that must keep its own labels; what setting one gives).
        """
        if self.enabled and label:
            relabel.tree(Path(path), selinux_label.shared(label) if shared else label)

    def applied(self, label: str) -> str:
        """Return *label* if it can be used today: a record may be from a day with SELinux."""
        return label if self.enabled else ""

    def _free_level(self) -> str:
        """Return two categories that nobody has, of 523,776 pairs."""
        held = {selinux_label.level_of(label) for tell in self.holders for label in tell()}
        held.add(selinux_label.PRIVILEGED_LEVEL)
        for _ in range(_ATTEMPTS):
            low, high = sorted(secrets.randbelow(_CATEGORIES) for _ in range(2))
            level = f"{selinux_label.SHARED_LEVEL}:c{low},c{high}"
            if low != high and level not in held:
                return level
        raise System("the categories of SELinux are all but used up: remove containers")

    def _policy_name(self) -> str:
        for line in _text(self._settings / "config").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "SELINUXTYPE":
                return value.strip()
        return _DEFAULT_POLICY

    def _warn(self, text: str) -> None:
        log.warning("%s", text)
        self.warnings.append(f"WARNING: {text}")


def _text(path: Path) -> str:
    try:
        return path.read_text().strip().rstrip("\0")
    except OSError:
        return ""
