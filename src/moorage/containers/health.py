"""Health checks: a probe executed now and then, and what its answers mean."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

from msgspec import structs

from moorage.containers.container import Container
from moorage.lib import clock
from moorage.lib.errors import MoorageError
from moorage.spec.engine.exec import ExecConfig
from moorage.spec.engine.health import Health, HealthcheckResult, HealthConfig

if TYPE_CHECKING:
    from moorage.containers.exec_session import ExecSession
    from moorage.containers.parts import Parts
    from moorage.runtime.attachment import Attachment

STARTING: Final = "starting"
HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"
ON_FAILURE: Final = "moorage.health-on-failure"
"""Annotation or label: what to do with an unhealthy container: none, kill, restart, stop."""

_SECOND_NS: Final = 1_000_000_000
_DEFAULTS: Final = HealthConfig(
    interval=30 * _SECOND_NS,
    timeout=30 * _SECOND_NS,
    retries=3,
    start_interval=5 * _SECOND_NS,
)
_KEPT_RESULTS: Final = 5
_OUTPUT_LIMIT: Final = 4096  # bytes of a probe's output that are kept


def complete(config: HealthConfig) -> HealthConfig:
    """Return *config* with Docker's defaults for what is 0 (pure)."""
    return structs.replace(
        config,
        interval=config.interval or _DEFAULTS.interval,
        timeout=config.timeout or _DEFAULTS.timeout,
        retries=config.retries or _DEFAULTS.retries,
        start_interval=config.start_interval or _DEFAULTS.start_interval,
    )


def command(config: HealthConfig, shell: list[str] | None) -> list[str] | None:
    """Return the probe's command, None for no check (pure)."""
    test = config.test or []
    if not test or test[0] in {"NONE", ""}:
        return None
    if test[0] == "CMD-SHELL":
        return [*(shell or ["/bin/sh", "-c"]), *test[1:]]
    return test[1:] or None


def judge(health: Health, result: HealthcheckResult, *, retries: int, settling: bool) -> Health:
    """Return the health after one more answer; failures while *settling* do not count (pure)."""
    log = [*(health.log or []), result][-_KEPT_RESULTS:]
    if result.exit_code == 0:
        return Health(status=HEALTHY, failing_streak=0, log=log)
    if settling and health.status == STARTING:
        return structs.replace(health, log=log)
    streak = health.failing_streak + 1
    status = UNHEALTHY if streak >= retries else health.status
    return Health(status=status, failing_streak=streak, log=log)


class HealthMonitor:
    """The prober of one running container; *current* is what readers see."""

    def __init__(self, parts: Parts, container: Container, argv: list[str]) -> None:
        self._parts = parts
        self._container = container
        self._argv = argv
        config = container.record.config.healthcheck
        assert config is not None  # noqa: S101 - there is a command
        self._config = complete(config)
        self.current = Health(status=STARTING, log=[])
        self._task = parts.supervisor.start(self._run(), f"health {container.id[:12]}")

    def stop(self) -> None:
        """End probing; a container that does not run is unhealthy, as Docker has it."""
        self._task.cancel()
        self.current = structs.replace(self.current, status=UNHEALTHY)

    async def _run(self) -> None:
        began_s = clock.monotonic()
        start_period_s = self._config.start_period / 1e9
        while True:
            settling = clock.monotonic() - began_s < start_period_s
            quick = settling and self.current.status == STARTING
            pause_ns = self._config.start_interval if quick else self._config.interval
            await asyncio.sleep(pause_ns / 1e9)
            if not self._container.alive:
                return
            result = await self._probe()
            settling = clock.monotonic() - began_s < start_period_s
            self._learn(result, settling=settling)

    def _learn(self, result: HealthcheckResult, *, settling: bool) -> None:
        before = self.current.status
        self.current = judge(self.current, result, retries=self._config.retries, settling=settling)
        if self.current.status != before:
            self._parts.announce(self._container, f"health_status: {self.current.status}")
            if self.current.status == UNHEALTHY:
                self._parts.on_unhealthy(self._container)

    async def _probe(self) -> HealthcheckResult:
        began_ns = clock.now_ns()
        timeout_s = self._config.timeout / 1e9
        try:
            code, output = await self._execute(timeout_s)
        except (MoorageError, OSError) as error:
            code, output = -1, str(error)
        return HealthcheckResult(
            start=clock.rfc3339(began_ns),
            end=clock.rfc3339(clock.now_ns()),
            exit_code=code,
            output=output,
        )

    async def _execute(self, timeout_s: float) -> tuple[int, str]:
        execs = self._parts.execs
        config = ExecConfig(cmd=self._argv, attach_stdout=True, attach_stderr=True)
        session = execs.create(self._container, config, probe=True)
        attachment = await execs.start(session, attach=True)
        assert attachment is not None  # noqa: S101 - it was asked for
        try:
            output = bytearray()
            try:
                async with asyncio.timeout(timeout_s):
                    await _collect(attachment, output)
                    await _wait_end(session)
            except TimeoutError:
                await _kill(session)
                return -1, f"Health check exceeded timeout ({timeout_s:g}s)"
            code = session.exit_code if session.exit_code is not None else -1
            return code, _text(output)
        finally:
            await attachment.close()


async def _collect(attachment: Attachment, output: bytearray) -> None:
    """Read to the end; what is too much is read and dropped."""
    while (piece := await attachment.read()) is not None:
        if len(output) <= _OUTPUT_LIMIT:
            output += piece[1]


def _text(output: bytearray) -> str:
    text = output[:_OUTPUT_LIMIT].decode("utf-8", "replace")
    return text if len(output) <= _OUTPUT_LIMIT else f"{text}..."


async def _wait_end(session: ExecSession) -> None:
    if session.watcher is not None:
        await asyncio.shield(session.watcher)


async def _kill(session: ExecSession) -> None:
    if session.task is not None:
        await session.task.signal(signal.SIGKILL)


def begin(parts: Parts, container: Container) -> None:
    """Start probing, if the container has a check."""
    config = container.record.config.healthcheck
    argv = command(config, container.record.config.shell) if config else None
    container.health = HealthMonitor(parts, container, argv) if argv else None
