"""Does what the solver asks for: keys, look-ups in the cache, the work, and remembering it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from moorage.build import cache as caches
from moorage.build.cache import Cache, Record
from moorage.build.contextfiles import ContextFiles
from moorage.build.files.digest import Part, of_files
from moorage.build.graph import (
    ContextSource,
    Copy,
    Exec,
    GitSource,
    HttpSource,
    ImageSource,
    Limits,
    MakeDirectory,
    Merge,
    Vertex,
    operation_key,
)
from moorage.build.operations import copying, gitaccess, whole
from moorage.build.operations.copying import SourceRoot
from moorage.build.operations.fetching import Fetching
from moorage.build.operations.running import Host, Running
from moorage.build.recovery import new_layer_id
from moorage.build.result import Files, LayerRef, Result, Snapshot
from moorage.build.session import Session
from moorage.build.solver import Build, Step
from moorage.build.transfer.incoming import Incoming, fetched
from moorage.lib import clock, offload
from moorage.lib.errors import InvalidParameter, NotFound, System
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.spec.oci.image import EMPTY_LAYER_DIFF_ID
from moorage.storage import stacking
from moorage.storage.layers import Layer

_TRANSFER: Final = "transferring context:"


class BuildJob(Build):
    """One build with all that its operations need."""

    def __init__(
        self,
        build: Build,
        session: Session,
        limits: Limits,
        epoch_s: int | None,
        incoming: Incoming | None,
    ) -> None:
        super().__init__(build.id, build.progress)
        self.incoming = incoming  # caches that the client named
        self.session = session
        self.limits = limits
        self.epoch_s = epoch_s
        self.held: list[str] = []  # ids of cache records


class DaemonWorker:
    """The worker of this daemon."""

    def __init__(self, *, host: Host, cache: Cache, fetching: Fetching, scratch: Path) -> None:
        self._host = host
        self.layers = host.layers
        self._cache = cache
        self._fetching = fetching
        self._scratch = scratch
        self._records: dict[Digest, str] = {}  # chain id -> record that made it

    # --- keys and look-up ----------------------------------------------------------------------

    async def keys(self, vertex: Vertex, inputs: Sequence[Result], build: Build) -> Sequence[str]:
        """Return the key by what the inputs are, then the one by the content that is used."""
        operation = vertex.operation
        if not isinstance(operation, Copy | Exec | MakeDirectory | Merge):
            return ()
        epoch = build.epoch_s if isinstance(build, BuildJob) else None
        start = operation_key(operation) + f"\0{epoch}".encode()
        known = await self._known_content(vertex, inputs)
        plain = _key(start, [known.get(n) or _name(result) for n, result in enumerate(inputs)])
        if not isinstance(operation, Copy) or self._cache.find([plain]) is not None:
            return (plain,)
        content = await self._copied_content(operation, inputs)
        if not content:
            return (plain,)
        parts = [content.get(n) or _name(result) for n, result in enumerate(inputs)]
        return (plain, _key(start + b"\0content", parts))

    async def _known_content(self, vertex: Vertex, inputs: Sequence[Result]) -> dict[int, str]:
        """Return the digest of what is used of each input that has no name of its own."""
        operation = vertex.operation
        wanted: dict[int, list[tuple[str, bool]]] = {}
        exclude: tuple[str, ...] = ()
        if isinstance(operation, Copy):
            exclude = operation.exclude
            for action in operation.actions:
                if action.input is not None:
                    wanted.setdefault(action.input, []).extend(
                        (path, action.required) for path in action.paths
                    )
        elif isinstance(operation, Exec):
            for mount in operation.mounts:
                if mount.input is not None and mount.kind == "bind":
                    wanted.setdefault(mount.input, []).append((mount.source or "/", True))
        found: dict[int, str] = {}
        parents = isinstance(operation, Copy) and operation.parents
        for index, paths in wanted.items():
            source = inputs[index]
            if isinstance(source, Files):
                part = Part(
                    paths=tuple(paths),
                    parents=parents,
                    exclude=exclude,
                    owners=not source.as_root,
                )
                found[index] = await (
                    offload.run("fs", of_files, source.root, part, {})
                    if source.context is None
                    else whole.blocking(source.context.digest, part)
                )
        return found

    async def _copied_content(self, operation: Copy, inputs: Sequence[Result]) -> dict[int, str]:
        """Return the digest of what is copied out of image layers."""
        found: dict[int, str] = {}
        for action in operation.actions:
            index = action.input
            if index is None or not isinstance(source := inputs[index], Snapshot):
                continue
            if source.chain_id is not None:
                paths = tuple((path, action.required) for path in action.paths)
                part = Part(
                    paths=paths,
                    parents=operation.parents,
                    exclude=operation.exclude,
                    owners=True,
                )
                found[index] = await offload.run("fs", self._in_layers, source.chain_id, part)
        return found

    def _in_layers(self, chain_id: Digest, part: Part) -> str:
        with self._host.views.view(chain_id) as root:
            return of_files(root, part, {})

    async def look_up(
        self, vertex: Vertex, inputs: Sequence[Result], keys: Sequence[str], build: Build
    ) -> Result | None:
        """Return what the cache has under any of *keys*, or a cache that the client named."""
        base = _base(vertex, inputs)
        record = self._cache.find(keys)
        if record is None:
            return await self._look_elsewhere(vertex, base, keys, build)
        self._cache.add_keys(record, keys)
        if record.diff_id is None or record.chain_id is None:
            return base
        expected = digests.chain_id(base.chain_id, record.diff_id)
        if expected != record.chain_id:
            return None
        self._records[record.chain_id] = record.id
        return Snapshot((*base.layers, LayerRef(record.diff_id, record.chain_id, record.size)))

    async def _look_elsewhere(
        self, vertex: Vertex, base: Snapshot, keys: Sequence[str], build: Build
    ) -> Result | None:
        """Take a step's layer out of a cache of another machine."""
        if not isinstance(build, BuildJob) or build.incoming is None:
            return None
        found = build.incoming.find(keys)
        if found is None:
            return None
        record, fetch = found
        if record.diff_id is None:
            return self._remember(vertex, base, None, keys, created_ns=record.created_ns)
        layer = self.layers.find(digests.chain_id(base.chain_id, record.diff_id))
        if layer is None:
            if record.blob is None:
                return None
            async with fetched(fetch, record.blob, self._scratch) as path:
                layer = await whole.blocking(self._apply, path, base.chain_id, record.diff_id)
        return self._remember(vertex, base, layer, keys, created_ns=record.created_ns)

    def _apply(self, path: Path, parent: Digest | None, diff_id: Digest) -> Layer:
        with path.open("rb") as tar:
            return self.layers.apply(tar, parent=parent, diff_id=diff_id)

    @asynccontextmanager
    async def using(self, inputs: Sequence[Result]) -> AsyncIterator[None]:
        """Keep the contexts among *inputs*, although their session may end."""
        contexts = _contexts(inputs)
        for context in contexts:
            context.use()
        try:
            yield
        finally:
            for context in contexts:
                await whole.blocking(context.leave)

    def hold(self, result: Result, build: Build) -> None:
        """Protect what made *result* from pruning until the build ends."""
        if isinstance(result, Snapshot) and result.chain_id and isinstance(build, BuildJob):
            identity = self._records.get(result.chain_id)
            if identity is not None:
                self._cache.use(identity)
                build.held.append(identity)

    # --- work ----------------------------------------------------------------------------------

    async def fetch(
        self, source: GitSource | HttpSource, session: Session, step: Step | None = None
    ) -> Files:
        """Fetch what lies elsewhere: for a step, or the context of a build."""
        step = step or _Silent()
        if isinstance(source, GitSource):
            access = await gitaccess.environment(session, source.url)
            return await self._fetching.checkout(source, step, access)
        return await self._fetching.download(source, step)

    async def work(
        self,
        vertex: Vertex,
        inputs: Sequence[Result],
        keys: Sequence[str],
        build: Build,
        step: Step,
    ) -> Result:
        """Do the operation of *vertex*."""
        if not isinstance(build, BuildJob):
            raise System("a build without its job")
        await _have_files(inputs)
        match vertex.operation:
            case ImageSource():
                return await offload.run("fs", self._image, vertex.operation)
            case ContextSource(name=name):
                files = await _context(build.session, name, step)
                return Files(
                    root=files.root,
                    identity=files.identity,
                    context=files,
                    is_kept=files.filtered,
                )
            case HttpSource() | GitSource():
                return await self.fetch(vertex.operation, build.session, step)
            case Exec():
                layer = await self._run(vertex, inputs, build, step)
            case Copy():
                layer = await self._copy(vertex.operation, inputs, build)
            case MakeDirectory():
                layer = await self._copy(vertex.operation, inputs, build)
            case Merge():
                layer = await self._merge(inputs)
            case _:
                raise InvalidParameter(f"unknown operation in {vertex.name}")
        return self._remember(vertex, _base(vertex, inputs), layer, keys)

    def _image(self, source: ImageSource) -> Snapshot:
        layers: list[LayerRef] = []
        for diff_id in source.diff_ids:
            chain = digests.chain_id(layers[-1].chain_id if layers else None, diff_id)
            layers.append(LayerRef(diff_id, chain, self.layers.get(chain).size))
        return Snapshot(tuple(layers))

    async def _run(
        self, vertex: Vertex, inputs: Sequence[Result], build: BuildJob, step: Step
    ) -> Layer | None:
        running = Running(self._host, vertex, inputs, build.limits)
        try:
            await running.run(build.session, step)
            failpoint("build.run.before_commit")
            return await whole.blocking(self._commit, running.id, build.epoch_s)
        finally:
            await running.remove()

    async def _copy(
        self, operation: Copy | MakeDirectory, inputs: Sequence[Result], build: BuildJob
    ) -> Layer | None:
        identity = new_layer_id()
        try:
            return await whole.blocking(
                self._copy_blocking, identity, operation, tuple(inputs), build.epoch_s
            )
        finally:
            await offload.run("fs", self.layers.remove_rw, identity)

    def _copy_blocking(
        self,
        identity: str,
        operation: Copy | MakeDirectory,
        inputs: Sequence[Result],
        epoch_s: int | None,
    ) -> Layer | None:
        base = inputs[0]
        parent = base.chain_id if isinstance(base, Snapshot) else None
        self.layers.create_rw(identity, parent=parent, init=False, mapped=False)
        with ExitStack() as opened:
            sources = [self._open(opened, found, linkable=epoch_s is None) for found in inputs]
            upper = self.layers.rw_data(identity).get("UpperDir")
            done = False
            if isinstance(operation, Copy) and upper is not None:
                done = self._copy_below(Path(upper), parent, operation, sources)
            if not done:
                with self.layers.mounted(identity, "build") as root_fd:
                    if isinstance(operation, Copy):
                        copying.copy(root_fd, operation, sources)
                    else:
                        copying.make_directory(root_fd, operation)
            failpoint("build.copy.before_commit")
        return self._commit(identity, epoch_s)

    def _copy_below(
        self,
        upper: Path,
        parent: Digest | None,
        operation: Copy,
        sources: Sequence[SourceRoot | None],
    ) -> bool:
        """Copy straight into the directory of changes, if that is possible."""
        with self._host.views.view(parent) as seen, ExitStack() as opened:
            upper_fd, seen_fd = _directory(opened, upper), _directory(opened, seen)
            done = copying.copy_below(upper_fd, seen_fd, operation, sources)
            if done is None:
                return False
            implied, grown = done
            stacking.inherit(upper, [seen], ["", *implied])
            os.utime(upper / grown)
        return True

    def _open(self, undo: ExitStack, source: Result, *, linkable: bool) -> SourceRoot | None:
        if isinstance(source, Files):
            fd = _directory(undo, source.root)
            return SourceRoot(fd, source.as_root, linkable and source.is_kept)
        if source.chain_id is None:
            return None
        root = undo.enter_context(self._host.views.view(source.chain_id))
        return SourceRoot(_directory(undo, root), as_root=False)

    async def _merge(self, inputs: Sequence[Result]) -> Layer | None:
        base, added = inputs
        if not isinstance(base, Snapshot) or not isinstance(added, Snapshot):
            raise InvalidParameter("only file systems of images can be merged")
        if added.chain_id is None:
            return None
        layer = self.layers.get(added.chain_id)
        return await offload.run("fs", self.layers.again, layer, base.chain_id)

    def _commit(self, identity: str, epoch_s: int | None) -> Layer | None:
        if epoch_s is not None:
            self.layers.clamp_times(identity, epoch_s * 1_000_000_000)
        layer = self.layers.settle_rw(identity)
        return None if layer.diff_id == EMPTY_LAYER_DIFF_ID else layer

    def _remember(
        self,
        vertex: Vertex,
        base: Snapshot,
        layer: Layer | None,
        keys: Sequence[str],
        *,
        created_ns: int = 0,
    ) -> Snapshot:
        now = clock.now_ns()
        record = Record(
            id=caches.new_record_id(),
            kind=caches.REGULAR,
            keys=tuple(keys),
            description=vertex.name,
            chain_id=layer.chain_id if layer else None,
            diff_id=layer.diff_id if layer else None,
            parent_chain=base.chain_id,
            size=layer.size if layer else 0,
            created_ns=created_ns or now,
            last_used_ns=now,
            usage_count=1,
            parents=tuple(filter(None, [self._records.get(base.chain_id or Digest(""))])),
        )
        self._cache.add(record)
        if layer is None:
            return base
        self._records[layer.chain_id] = record.id
        return Snapshot((*base.layers, LayerRef(layer.diff_id, layer.chain_id, layer.size)))


class _Silent:
    """A step that nobody watches."""

    def log(self, stream: int, chunk: bytes) -> None:
        """Drop it."""

    def status(self, name: str, current: int, total: int, *, completed: bool = False) -> None:
        """Drop it."""


async def _context(session: Session, name: str, step: Step) -> ContextFiles:
    come = 0

    def report(size: int) -> None:
        nonlocal come
        come = size
        step.status(_TRANSFER, size, 0)

    files = await session.context(name, report)
    if come:
        step.status(_TRANSFER, come, 0, completed=True)
    if files is None:
        raise NotFound(
            f"no build context {name!r}: this build has none", hint="send one, or name it"
        )
    return files


def _directory(undo: ExitStack, path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    undo.callback(os.close, fd)
    return fd


async def _have_files(inputs: Sequence[Result]) -> None:
    """Unpack the contexts among *inputs*: until now their listings have sufficed."""
    for context in _contexts(inputs):
        await whole.blocking(context.unpack)


def _contexts(inputs: Sequence[Result]) -> list[ContextFiles]:
    return [
        source.context
        for source in inputs
        if isinstance(source, Files) and source.context is not None
    ]


def _base(vertex: Vertex, inputs: Sequence[Result]) -> Snapshot:
    base = inputs[0] if vertex.inputs else Snapshot()
    return base if isinstance(base, Snapshot) else Snapshot()


def _name(result: Result) -> str:
    return result.identity if isinstance(result, Files) else result.chain_id or "scratch"


def _key(start: bytes, parts: Sequence[str]) -> str:
    state = hashlib.sha256(start)
    for part in parts:
        state.update(b"\0" + part.encode())
    return f"sha256:{state.hexdigest()}"
