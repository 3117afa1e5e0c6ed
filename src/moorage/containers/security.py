"""Seccomp, AppArmor and privileges of a container: what ``--security-opt`` and the daemon say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moorage.containers import security_options
from moorage.containers.security_options import SecurityOptions
from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import seccomp_default, seccomp_profile
from moorage.runtime.selinux_label import NO_LABELS, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.containers.record import ContainerRecord
    from moorage.containers.settings import ContainerSettings
    from moorage.runtime.seccomp_profile import Profile
    from moorage.spec.oci.runtime import LinuxSeccomp

_UNCONFINED: Final = "unconfined"


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a container is confined beyond namespaces and cgroups."""

    options: SecurityOptions = field(default_factory=SecurityOptions)
    seccomp: LinuxSeccomp | None = None
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    labels: Labels = NO_LABELS


def confine(
    settings: ContainerSettings,
    record: ContainerRecord,
    capabilities: Sequence[str],
    *,
    apparmor_profile: str,
    labels: Labels,
) -> Confinement:
    """Return the confinement of *record*'s container, which may have *capabilities*.

    *apparmor_profile* is what the runtime has found for it, *labels* what SELinux is to know of it.

    Raises: InvalidParameter (a broken profile), System (the daemon's profile cannot be read).
    """
    host = record.host_config
    options = security_options.parse(host.security_opt or [])
    return Confinement(
        options=options,
        seccomp=_seccomp(settings, options, capabilities, privileged=host.privileged),
        no_new_privileges=no_new_privileges(settings, options),
        apparmor_profile=apparmor_profile,
        labels=labels,
    )


def no_new_privileges(settings: ContainerSettings, options: SecurityOptions) -> bool:
    """Whether programs of the container can gain no privileges by execve(2)."""
    if options.no_new_privileges is None:
        return settings.no_new_privileges
    return options.no_new_privileges


def _seccomp(
    settings: ContainerSettings,
    options: SecurityOptions,
    capabilities: Sequence[str],
    *,
    privileged: bool,
) -> LinuxSeccomp | None:
    chosen = options.seccomp
    if privileged and chosen is None:
        return None
    profile = _profile(settings, chosen)
    return seccomp_profile.resolve(profile, capabilities) if profile else None


def _profile(settings: ContainerSettings, chosen: str | None) -> Profile | None:
    """Return the profile, None for unconfined."""
    if chosen == _UNCONFINED:
        return None
    if chosen not in {None, "", "builtin"}:
        return seccomp_profile.parse(chosen or "")
    path = settings.seccomp_profile
    if chosen == "builtin" or path in {"", "builtin"}:
        return seccomp_default.PROFILE
    if path == _UNCONFINED:
        return None
    try:
        return seccomp_profile.parse(Path(path).read_bytes())
    except OSError as error:
        raise System(f"opening seccomp profile ({path}) failed: {error.strerror}") from error
    except InvalidParameter as error:
        raise System(f"the daemon's seccomp profile {path} is broken: {error}") from error
