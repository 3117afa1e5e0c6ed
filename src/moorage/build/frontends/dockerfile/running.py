"""RUN: the command, its mounts and its environment, as an operation of the graph."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable
from typing import Final

from moorage.build.frontends.dockerfile.instructions import Command, Run
from moorage.build.frontends.dockerfile.lexer import heredoc_opening
from moorage.build.frontends.dockerfile.mounts import Mount
from moorage.build.frontends.dockerfile.source import SyntaxFault
from moorage.build.frontends.dockerfile.stage import StageState, in_shell
from moorage.build.graph import Exec, ExecMount, Vertex

SCRIPTS: Final = "/dev/pipes"  # where a here-document with its own interpreter appears

FindFiles = Callable[[str], Vertex]  # the name of a ``from=``; empty for the build context


def run(
    state: StageState,
    instruction: Run,
    *,
    find: FindFiles,
    extra_hosts: tuple[str, ...],
    network: str,
    hostname: str,
    devices: tuple[str, ...] = (),
) -> None:
    """Add a RUN to the stage. Raises: SyntaxFault."""
    command, script = _with_heredocs(instruction.command, state.scope.escape)
    arguments = in_shell(state, command)
    inputs: list[Vertex] = [state.vertex]
    mounts: list[ExecMount] = [] if script is None else [script]
    mounts.extend(_mount(state, mount, inputs, find) for mount in instruction.mounts)
    declared = state.scope.run_arguments()
    operation = Exec(
        arguments=tuple(arguments),
        environment=(*state.environment(), *declared),
        directory=state.directory,
        user=state.config.user,
        mounts=tuple(mounts),
        network=instruction.network if instruction.network != "default" else network,
        insecure=instruction.security == "insecure",
        devices=devices,
        extra_hosts=extra_hosts,
        hostname=hostname,
    )
    vertex = state.add_vertex(
        operation, tuple(inputs), instruction.line, proxy=state.scope.proxies()
    )
    shown = state.scope.shown_arguments()
    prefix = f"|{len(shown)} {' '.join(shown)} " if shown else ""
    created_by = f"RUN {prefix}{' '.join(arguments)} # buildkit"
    state.record(instruction.line.original, instruction.line, created_by, vertex)


def _with_heredocs(command: Command, escape: str) -> tuple[Command, ExecMount | None]:
    """Put here-documents where the command finds them.

    A lone one is the script itself: run by the shell, or by the interpreter that its first line
    names; any other goes to the shell as it is written.
    """
    if not command.heredocs:
        return command, None
    text = command.words[0]
    first = command.heredocs[0]
    if heredoc_opening(text, escape) is None:
        bodies = "".join(f"\n{doc.content}{doc.name}" for doc in command.heredocs)
        return Command((text + bodies,), in_shell=True), None
    if not first.content.startswith("#!"):
        return Command((first.content,), in_shell=True), None
    path = f"{SCRIPTS}/{first.name}"
    script = ExecMount(kind="bind", target=path, content=first.content, mode=0o755, readonly=True)
    return Command((path,), in_shell=False), script


def _mount(state: StageState, mount: Mount, inputs: list[Vertex], find: FindFiles) -> ExecMount:
    scope = state.scope
    if "$" in mount.from_:
        raise SyntaxFault("'from' doesn't support variable expansion, define alias stage instead")
    target = scope.expand(mount.target)
    source = scope.expand(mount.source)
    if target:
        target = posixpath.normpath(posixpath.join("/", state.directory, target))
        if target == "/":
            raise SyntaxFault(f"invalid mount target {mount.target!r}: it would hide everything")
    index = None
    if mount.type == "bind" or (mount.type == "cache" and mount.from_):
        inputs.append(find(mount.from_))
        index = len(inputs) - 1
    identity = scope.expand(mount.id)
    if mount.type == "cache":
        identity = identity or target
    elif mount.type == "secret":
        identity = identity or posixpath.basename(target)
        if not target and mount.env is None:
            target = f"/run/secrets/{posixpath.basename(identity)}"
    elif mount.type == "ssh":
        identity = identity or "default"
        target = target or f"/run/buildkit/ssh_agent.{_ssh_number(identity)}"
    return ExecMount(
        kind=mount.type,
        target=target,
        input=index,
        source=source,
        readonly=mount.readonly,
        id=identity,
        sharing=scope.expand(mount.sharing),
        required=mount.required,
        mode=mount.mode,
        uid=mount.uid,
        gid=mount.gid,
        size_bytes=mount.size_bytes,
        env=scope.expand(mount.env) if mount.env is not None else None,
    )


def _ssh_number(identity: str) -> int:
    """Return a stable number for the socket's name; 0 for the default agent."""
    return (
        0 if identity == "default" else int(hashlib.sha256(identity.encode()).hexdigest()[:6], 16)
    )
