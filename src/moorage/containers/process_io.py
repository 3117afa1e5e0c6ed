"""How the streams of a container's process are set up, and clients that attach before it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.containers.container import Container
from moorage.containers.record import ContainerRecord
from moorage.lib import clock, ids
from moorage.logs import tag as log_tag
from moorage.runtime import defaults as runtime_defaults
from moorage.runtime.contract import ProcessIO

if TYPE_CHECKING:
    from moorage.runtime.attachment import Attachment
    from moorage.runtime.task import Task


@dataclass(slots=True, eq=False)
class WaitingClient:
    """A client that attached before the start; it gets every byte from the first on."""

    stdin: bool
    stdout: bool
    stderr: bool
    attachment: asyncio.Future[Attachment | None]  # None: the container did not start


async def connect_waiting(container: Container, task: Task) -> None:
    """Attach everyone who waits, before the process may write."""
    waiting, container.waiting_clients = container.waiting_clients, []
    for client in waiting:
        if client.attachment.done():
            continue  # it has gone
        attachment = await task.attach(
            stdin=client.stdin, stdout=client.stdout, stderr=client.stderr
        )
        if client.attachment.done():
            await attachment.close()
        else:
            client.attachment.set_result(attachment)


def end_waiting(container: Container) -> None:
    """Let those who wait go: there will be no process."""
    waiting, container.waiting_clients = container.waiting_clients, []
    for client in waiting:
        if not client.attachment.done():
            client.attachment.set_result(None)


def of_container(record: ContainerRecord) -> ProcessIO:
    """Return the streams of the first process."""
    config, host = record.config, record.host_config
    log = host.log_config
    driver = log.type if log else "none"
    size = host.console_size or [0, 0]
    return ProcessIO(
        tty=config.tty,
        open_stdin=config.open_stdin,
        stdin_once=config.stdin_once,
        log_driver=driver,
        log_options=runtime_defaults.log_options(driver, (log.config if log else None) or {}),
        log_path=Path(record.log_path) if record.log_path else None,
        log_attributes=_shown_details(record),
        log_tags=_tags(record),
        console_size=(size[0], size[1]) if config.tty and all(size) else None,
    )


def _shown_details(record: ContainerRecord) -> dict[str, str]:
    """Return what ``logs --details`` shows: chosen by ``labels``, ``labels-regex`` and ``env``."""
    log = record.host_config.log_config
    options = (log.config if log else None) or {}
    labels = record.config.labels or {}
    env = dict(e.partition("=")[::2] for e in record.config.env or [])
    chosen = {k: labels[k] for k in options.get("labels", "").split(",") if k in labels}
    chosen |= {k: env[k] for k in options.get("env", "").split(",") if k in env}
    if options.get("tag"):
        chosen["tag"] = _tags(record)["tag"]
    return chosen


def _tags(record: ContainerRecord) -> dict[str, str]:
    log = record.host_config.log_config
    tags = {
        "id": record.id,
        "short_id": ids.short(record.id),
        "name": record.name,
        "image_id": record.image_id,
        "image_name": record.config.image,
        "command": " ".join([record.path, *record.args]),
        "created": clock.rfc3339(record.created_ns),
        "hostname": record.config.hostname,
    }
    template = ((log.config if log else None) or {}).get("tag", "")
    return tags | {"tag": log_tag.expand(template, tags)}
