"""Values of the Engine API about processes executed in containers; names as in its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import Struct, field

from moorage.spec.engine.container import ProcessConfig


class ExecConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's body of ``ContainerExec``."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    console_size: list[int] | None = None  # height, width
    detach_keys: str = ""
    tty: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    privileged: bool = False
    user: str = ""
    working_dir: str = ""
    detach: bool = False


class ExecStartConfig(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ExecStartConfig``."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None  # height, width


class ExecInspectResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``ExecInspectResponse``."""

    id: str = field(default="", name="ID")
    running: bool = False
    exit_code: int | None = None
    process_config: ProcessConfig | None = None
    open_stdin: bool = False
    open_stderr: bool = False
    open_stdout: bool = False
    can_remove: bool = False
    container_id: str = field(default="", name="ContainerID")
    detach_keys: str = ""
    pid: int = 0
