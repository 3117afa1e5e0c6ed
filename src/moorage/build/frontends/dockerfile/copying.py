"""COPY and ADD: sources, destination and options as an operation of the graph."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final

from moorage.build import remotes
from moorage.build.frontends.dockerfile.instructions import Copy as CopyInstruction
from moorage.build.frontends.dockerfile.source import SyntaxFault
from moorage.build.frontends.dockerfile.stage import StageState
from moorage.build.graph import (
    Copy,
    CopyAction,
    GitSource,
    HttpSource,
    InlineFile,
    Merge,
    Scratch,
    Vertex,
)

_OCTAL: Final = re.compile(r"[0-7]{1,4}\Z")
_SYMBOLIC: Final = re.compile(
    r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*\Z"
)

FindFiles = Callable[[str], Vertex]
CheckIgnored = Callable[[str], None]


def copy(
    state: StageState,
    instruction: CopyInstruction,
    *,
    find: FindFiles,
    check_ignored: CheckIgnored,
    keep_git_directory: bool,
) -> None:
    """Add a COPY or ADD to the stage. Raises: SyntaxFault."""
    scope = state.scope
    keyword = "ADD" if instruction.add else "COPY"
    sources = [scope.expand(raw) for raw in instruction.sources]
    given = scope.expand(instruction.destination)
    destination = _destination(state, given)
    _check(instruction, keyword, len(sources), destination)
    mode = _mode(scope.expand(instruction.chmod))
    owner = scope.expand(instruction.chown)
    inputs: list[Vertex] = [Vertex(Scratch()) if instruction.link else state.vertex]
    actions: list[CopyAction] = []
    local: list[str] = []
    for source in sources:
        remote = (
            _remote(state, instruction, source, keep_git_directory) if instruction.add else None
        )
        if remote is not None:
            inputs.append(remote)
            actions.append(
                CopyAction(
                    input=len(inputs) - 1,
                    paths=("/",) if isinstance(remote.operation, GitSource) else ("/*",),
                    unpack=bool(instruction.unpack) and isinstance(remote.operation, HttpSource),
                )
            )
        else:
            local.append(_cleaned(source, instruction, keyword))
    if local:
        if not instruction.from_:
            for path in local:
                check_ignored(path)
        inputs.append(find(instruction.from_))
        actions.append(
            CopyAction(
                input=len(inputs) - 1,
                paths=tuple(local),
                unpack=instruction.add and instruction.unpack is not False,
            )
        )
    if instruction.heredocs:
        actions.append(CopyAction(files=_inline(state, instruction)))
    operation = Copy(
        actions=tuple(actions),
        destination=destination,
        owner=owner or None,
        mode=mode or None,
        parents=instruction.parents,
        exclude=tuple(scope.expand(pattern) for pattern in instruction.exclude),
        follow_destination=not instruction.link,
    )
    vertex = state.add_vertex(operation, tuple(inputs), instruction.line)
    if instruction.link:
        vertex = state.add_vertex(
            Merge(), (state.vertex, vertex), instruction.line, name=f"[{state.label}] merge"
        )
    flags = [
        *(["--parents"] if instruction.parents else []),
        *([f"--chown={owner}"] if owner else []),
        *([f"--chmod={mode}"] if mode else []),
    ]
    shown = [remotes.redact(source) for source in sources]
    shown += [f"<<{doc.name}" for doc in instruction.heredocs]
    created_by = " ".join([keyword, *flags, *shown, given, "# buildkit"])
    state.record(instruction.line.original, instruction.line, created_by, vertex)


def _check(instruction: CopyInstruction, keyword: str, sources: int, destination: str) -> None:
    if sources + len(instruction.heredocs) > 1 and not destination.endswith("/"):
        raise SyntaxFault(
            f"When using {keyword} with more than one source file, the destination must be a "
            "directory and end with a /"
        )
    if "$" in instruction.from_:
        raise SyntaxFault(
            "variable expansion is not supported for --from, define a new stage with "
            "FROM using ARG from global scope as a workaround"
        )


def _destination(state: StageState, raw: str) -> str:
    if not raw:
        raise SyntaxFault("the destination is empty", hint="expected a path")
    is_directory = raw.endswith("/") or posixpath.basename(raw) in {".", ".."}
    path = posixpath.normpath(posixpath.join("/", state.directory, raw))
    path = "/" + path.lstrip("/")
    return path + "/" if is_directory and path != "/" else path


def _cleaned(source: str, instruction: CopyInstruction, keyword: str) -> str:
    """Return the path below its root; with --parents the pivot ``/./`` stays."""
    in_context = not instruction.from_
    before, pivot, after = source.partition("/./")
    if not pivot or not instruction.parents:
        return _source(source, in_context=in_context, keyword=keyword)
    top = _source(before, in_context=in_context, keyword=keyword).rstrip("/")
    return f"{top}/.{_source(after, in_context=in_context, keyword=keyword)}"


def _source(raw: str, *, in_context: bool, keyword: str) -> str:
    cleaned = posixpath.normpath(raw.lstrip("/") or ".")
    if in_context and (cleaned == ".." or cleaned.startswith("../")):
        raise SyntaxFault(
            f"{keyword} failed: forbidden path outside the build context: {raw}",
            hint="only files of the context can be copied; give another with --build-context",
        )
    absolute = posixpath.normpath("/" + cleaned)
    return absolute + "/" if raw.endswith("/") and absolute != "/" else absolute


def _mode(text: str) -> str:
    if text and not _OCTAL.match(text) and not _SYMBOLIC.match(text):
        raise SyntaxFault(
            f'invalid chmod parameter: "{text}"', hint="expected octal as 0755 or symbolic as u+x"
        )
    return text


def _inline(state: StageState, instruction: CopyInstruction) -> tuple[InlineFile, ...]:
    expand = state.scope.expand_body
    return tuple(
        InlineFile(doc.name, expand(doc.content) if doc.expand else doc.content)
        for doc in instruction.heredocs
    )


def _remote(
    state: StageState,
    instruction: CopyInstruction,
    source: str,
    keep_git_directory: bool,  # noqa: FBT001
) -> Vertex | None:
    """Return the vertex that fetches *source*, if it is an address."""
    checksum = state.scope.expand(instruction.checksum)
    git = remotes.parse_git(source)
    if git is not None:
        operation: GitSource | HttpSource = GitSource(
            url=git.url,
            ref=git.ref,
            subdirectory=git.subdirectory,
            keep_git_directory=keep_git_directory
            if instruction.keep_git_dir is None
            else instruction.keep_git_dir,
            checksum=checksum,
        )
    elif remotes.is_url(source):
        if checksum and not re.fullmatch(r"sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})", checksum):
            raise SyntaxFault(
                f"invalid checksum: {checksum}", hint="expected sha256: and 64 digits"
            )
        operation = HttpSource(url=source, checksum=checksum)
    else:
        if checksum:
            raise SyntaxFault("checksum can't be specified for a local file")
        return None
    return Vertex(
        operation,
        name=f"[{state.label}] fetch {remotes.redact(source)}",
        place=f"{state.dockerfile}:{instruction.line.span.start}",
        span=(instruction.line.span.start, instruction.line.span.end),
        stage=state.label,
        use_cache=state.use_cache,
    )
