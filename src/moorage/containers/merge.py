"""A container's configuration: what the user gave, completed by the image's (pure)."""

from __future__ import annotations

from msgspec import structs

from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.health import HealthConfig
from moorage.spec.oci.image import ContainerConfig as ImageConfig


def with_image(config: ContainerConfig, image: ImageConfig | None) -> ContainerConfig:
    """Complete *config* by *image*.

    Raises: InvalidParameter (there is nothing to run).
    """
    merged = _merge(config, image) if image else config
    if merged.entrypoint == [""]:  # the CLI's ``--entrypoint ""``
        merged = structs.replace(merged, entrypoint=None)
    if not merged.entrypoint and not merged.cmd:
        raise InvalidParameter("no command specified")
    return merged


def command(config: ContainerConfig) -> tuple[str, list[str]]:
    """Return the program and its arguments."""
    words = [*(config.entrypoint or []), *(config.cmd or [])]
    return words[0], words[1:]


def _merge(config: ContainerConfig, image: ImageConfig) -> ContainerConfig:
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        cmd = cmd or image.cmd
        if entrypoint is None:
            entrypoint = image.entrypoint
    return structs.replace(
        config,
        user=config.user or image.user,
        exposed_ports=_union(image.exposed_ports, config.exposed_ports),
        env=environment(config.env, image.env),
        entrypoint=entrypoint,
        cmd=cmd,
        healthcheck=_health(config.healthcheck, image.healthcheck),
        working_dir=config.working_dir or image.working_dir,
        volumes=_union(image.volumes, config.volumes),
        labels={**(image.labels or {}), **(config.labels or {})},
        stop_signal=config.stop_signal or image.stop_signal,
        shell=config.shell or image.shell,
    )


def environment(own: list[str] | None, inherited: list[str] | None) -> list[str]:
    """Return *own*, then those of *inherited* that it does not set."""
    have = {entry.partition("=")[0] for entry in own or []}
    return [*(own or []), *(e for e in inherited or [] if e.partition("=")[0] not in have)]


def _union(
    base: dict[str, dict[str, object]] | None, more: dict[str, dict[str, object]] | None
) -> dict[str, dict[str, object]] | None:
    return {**(base or {}), **(more or {})} or None


def _health(own: HealthConfig | None, image: HealthConfig | None) -> HealthConfig | None:
    if own is None or image is None:
        return own or image
    return HealthConfig(
        test=own.test or image.test,
        interval=own.interval or image.interval,
        timeout=own.timeout or image.timeout,
        retries=own.retries or image.retries,
        start_period=own.start_period or image.start_period,
        start_interval=own.start_interval or image.start_interval,
    )
