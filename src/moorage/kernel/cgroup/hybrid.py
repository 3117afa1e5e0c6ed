"""Which control groups this host has: v1, v2, or both at once.

The trap of the hybrid: crun refuses to run while any controller sits on the v2 tree beside v1.
Where nothing uses such a controller, mounting it as v1 takes it off the v2 tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct, field, structs

from moorage.kernel import mount
from moorage.kernel.cgroup.contract import Cgroup
from moorage.kernel.cgroup.v1 import V1
from moorage.kernel.cgroup.v2 import V2

Mode = Literal["v1", "v2", "hybrid", "none"]


class Host(Struct, frozen=True, kw_only=True):
    """The mounted hierarchies."""

    mode: Mode
    v1: dict[str, Path] = field(default_factory=dict)  # controller: mount point
    v2: Path | None = None
    named: tuple[Path, ...] = ()  # v1 trees without a controller, such as systemd's
    stray: tuple[str, ...] = ()  # hybrid: controllers on the v2 tree

    def cgroup(self, path: str) -> Cgroup:
        """Return the group at *path* below the root."""
        if self.mode == "v2" and self.v2 is not None:
            return V2(self.v2, path)
        others = self.named if self.v2 is None else (*self.named, self.v2)
        return V1(self.v1, path, others)

    def controllers(self) -> frozenset[str]:
        """Return the controllers that limits can use; v2's names are given as v1's."""
        if self.mode == "v2" and self.v2 is not None:
            names = (self.v2 / "cgroup.controllers").read_text().split()
            return frozenset({"io": "blkio"}.get(name, name) for name in names) | {"freezer"}
        return frozenset(self.v1)

    def swap_limit(self) -> bool:
        """Whether swap can be limited: v1 has a file in its root for it, v2 in all other groups."""
        if self.mode != "v2" or self.v2 is None:
            memory = self.v1.get("memory")
            return memory is not None and (memory / "memory.memsw.limit_in_bytes").exists()
        groups = [*self.v2.glob("memory.current"), *self.v2.glob("*/memory.current")]
        return not groups or any((group.parent / "memory.swap.max").exists() for group in groups)


def detect(mounts: list[mount.MountInfo], known: frozenset[str]) -> Host:
    """Find the hierarchies among *mounts*; *known* are the controllers of ``/proc/cgroups``."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    named: list[Path] = []
    for info in mounts:
        if info.fstype == "cgroup2" and v2 is None:
            v2 = Path(info.target)
        elif info.fstype == "cgroup":
            options = info.super_options.split(",")
            for option in options:
                if option in known:
                    v1.setdefault(option, Path(info.target))
            if known.isdisjoint(options):
                named.append(Path(info.target))
    if not v1:
        return Host(mode="v2" if v2 else "none", v2=v2)
    return Host(mode="hybrid" if v2 else "v1", v1=v1, v2=v2, named=tuple(named))


def host() -> Host:
    """Look at this host now."""
    lines = Path("/proc/cgroups").read_text().splitlines()[1:]
    known = frozenset(line.split()[0] for line in lines)
    found = detect(mount.mountinfo(), known)
    if found.mode != "hybrid" or found.v2 is None:
        return found
    stray = (found.v2 / "cgroup.controllers").read_text().split()
    return structs.replace(found, stray=tuple(stray))


def own_members(found: Host) -> Path | None:
    """Return the file of the group that this process is in, in any of the trees; None if unseen."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        tree = found.v1.get(controllers.partition(",")[0]) if controllers else found.v2
        if tree is not None and "/.." not in path:
            members = tree / path.lstrip("/") / "cgroup.procs"
            if members.exists():
                return members
    return None


def in_use(v2: Path) -> bool:
    """Whether any group of the v2 tree hands controllers to groups below it."""
    return any(path.read_text().strip() for path in v2.rglob("cgroup.subtree_control"))


def take_strays(found: Host) -> Host:
    """Mount the stray controllers of a hybrid as v1, beside the others; return the host anew.

    *Preconditions*: nothing uses them (``in_use`` is False).
    Raises: OSError.
    """
    base = next(iter(found.v1.values())).parent
    for controller in found.stray:
        target = base / controller
        target.mkdir(exist_ok=True)
        mount.mount("cgroup", target, "cgroup", 0, controller)
    return host()
