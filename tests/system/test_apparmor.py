"""AppArmor on a kernel that has it: the default profile denies what nothing else here would."""

from __future__ import annotations

import pytest

from support import containers
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "overlayfs", "apparmor", "apparmor_parser")

MOUNT = ("sh", "-c", "cat /proc/self/attr/current; mount -t tmpfs none /tmp && echo mounted")


def said(daemon: Daemon, *options: str) -> str:
    """Mount in a container that may, by its capabilities and by seccomp."""
    host = {"CapAdd": ["SYS_ADMIN"], "SecurityOpt": ["seccomp=unconfined", *options]}
    one = containers.run(daemon.api, *MOUNT, host=host)
    containers.wait(daemon.api, one)
    return containers.output(daemon.api, one)


def test_default_profile_denies_mounts(daemon: Daemon) -> None:
    text = said(daemon)
    assert text.startswith("moorage-default (enforce)")
    assert "mounted" not in text
    assert "denied" in text.lower()


def test_without_profile_the_same_is_possible(daemon: Daemon) -> None:
    text = said(daemon, "apparmor=unconfined")
    assert text.startswith("unconfined")
    assert "mounted" in text
