"""Git checkouts and downloads, kept as records of the cache.

A download is asked for again with what its server said of the last one (ETag, Last-Modified) and
checked against ``--checksum`` before anything looks at it. A checkout is known by its commit. Only
http and https are spoken for downloads, also behind redirects, and link-local addresses are
refused: metadata services of clouds listen there, which hand out the credentials of the host.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import posixpath
import re
import socket
from collections.abc import Mapping
from email import utils as email_utils
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from moorage.build import cache as caches
from moorage.build import remotes
from moorage.build.cache import Cache, Record
from moorage.build.graph import GitSource, HttpSource
from moorage.build.operations.cachemounts import directory_size
from moorage.build.result import Files
from moorage.build.solver import Step
from moorage.kernel import spawn
from moorage.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from moorage.lib import addresses, atomicfile, clock, offload
from moorage.lib.errors import Forbidden, InvalidParameter, NotFound, System
from moorage.lib.httpclient import HttpClient, Response
from moorage.registry import failures

_REDIRECTS: Final = 10
_GIT_TIMEOUT_S: Final = 600.0
_SAFE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\]+\Z")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_GIT_ENVIRONMENT: Final = {
    "PATH": spawn.PATH,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",  # CVE-2022-39253: never the host's own files
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new",
}
_ANONYMOUS: Final[Mapping[str, str]] = {}
_GIT_SETTINGS: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "protocol.file.allow=never"),
    *("-c", "transfer.fsckObjects=true"),
    *("-c", "advice.detachedHead=false"),
)


class Fetching:
    """Fetches for all builds; one object is fetched by one at a time (the solver sees to it)."""

    def __init__(self, cache: Cache, client: HttpClient) -> None:
        self._cache = cache
        self._client = client

    # --- downloads -----------------------------------------------------------------------------

    async def download(self, source: HttpSource, step: Step) -> Files:
        """Fetch one file.

        Raises: NotFound, InvalidParameter (wrong checksum, a forbidden redirect), System.
        """
        known = self._known(caches.SOURCE_HTTP, f"{source.url}\0")
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if known is not None:
            _, etag, modified, _ = known.note.split("\0")
            headers |= {"If-None-Match": etag} if etag else {}
            headers |= {"If-Modified-Since": modified} if modified else {}
        try:
            response = await self._open(source.url, headers)
        except OSError as error:
            address = remotes.redact(source.url)
            reason = failures.of_connection("GET", address, error).message
            raise System(f"failed to fetch {address}: {reason}") from error
        async with response:
            if response.status == 304 and known is not None:
                record = self._cache.touch(known)
            elif response.status != 200:
                raise NotFound(
                    f"invalid response status {response.status} for {remotes.redact(source.url)}"
                )
            else:
                record = await self._store(source, response, step)
        digest = record.note.split("\0")[3]
        if source.checksum:
            await offload.run("fs", _check, self._file(record), source.checksum)
        name = self._file(record).name
        return Files(
            root=self._cache.root / record.path, identity=f"http:{digest}:{name}", file=name
        )

    def _file(self, record: Record) -> Path:
        return next((self._cache.root / record.path).iterdir())

    def _known(self, kind: str, prefix: str) -> Record | None:
        for record in reversed(self._cache.records()):
            if record.kind == kind and record.note.startswith(prefix):
                return record
        return None

    async def _open(self, url: str, headers: dict[str, str]) -> Response:
        addresses.checked(url)
        for _ in range(_REDIRECTS):
            await _refuse_link_local(url)
            response = await self._client.request("GET", url, headers=headers)
            if response.status not in {301, 302, 303, 307, 308}:
                return response
            where = response.headers.get("location") or ""
            response.release()
            url = addresses.follow(url, where)
            if not remotes.is_url(url):
                raise Forbidden(f"refusing the redirect to {remotes.redact(url)}")
        raise InvalidParameter(f"more than {_REDIRECTS} redirects from {remotes.redact(url)}")

    async def _store(self, source: HttpSource, response: Response, step: Step) -> Record:
        identity = caches.new_record_id()
        directory = self._cache.root / "sources" / identity
        name = _file_name(source, response)
        modified = response.headers.get("last-modified") or ""
        state = hashlib.sha256()
        total = response.content_length or 0
        current = 0
        await offload.run("fs", directory.mkdir, 0o700, True)  # noqa: FBT003 - with parents
        try:
            path = directory / name
            with path.open("xb") as file:
                while chunk := await response.read_some():
                    state.update(chunk)
                    await offload.run("fs", file.write, chunk)
                    current += len(chunk)
                    step.status(name, current, total)
                os.fchmod(file.fileno(), 0o600)
            stamp = _timestamp(modified)
            os.utime(path, (stamp, stamp))
        except BaseException:
            atomicfile.remove_tree(directory)
            raise
        if response.content_length not in {None, current}:
            atomicfile.remove_tree(directory)
            raise System(f"{remotes.redact(source.url)}: the download was cut off")
        step.status(name, current, current, completed=True)
        etag = response.headers.get("etag") or ""
        now = clock.now_ns()
        record = Record(
            id=identity,
            kind=caches.SOURCE_HTTP,
            description=f"http url {remotes.redact(source.url)}",
            path=f"sources/{identity}",
            size=current,
            created_ns=now,
            last_used_ns=now,
            usage_count=1,
            note=f"{source.url}\0{etag}\0{modified}\0{state.hexdigest()}",
        )
        self._cache.add(record)
        return record

    # --- Git -----------------------------------------------------------------------------------

    async def checkout(
        self, source: GitSource, step: Step, access: Mapping[str, str] = _ANONYMOUS
    ) -> Files:
        """Fetch a repository at one commit; *access* goes into git's environment.

        Raises: NotFound (the ref or the directory), InvalidParameter, System.
        """
        commit = await self._resolve(source, access)
        if source.checksum and not commit.startswith(source.checksum):
            raise InvalidParameter(f"expected checksum to match {source.checksum}, got {commit}")
        kept = "1" if source.keep_git_directory else "0"
        seen = "private" if access else "public"  # a commit's name alone opens no private one
        note = f"{source.url}\0{commit}\0{kept}\0{seen}"
        record = self._known(caches.SOURCE_GIT, note)
        if record is None:
            record = await self._clone(source, commit, note, access)
            step.log(2, f"{commit} HEAD\n".encode())
        else:
            record = self._cache.touch(record)
        root = await offload.run(
            "fs", _subdirectory, self._cache.root / record.path, source.subdirectory
        )
        return Files(root=root, identity=f"git:{commit}:{kept}:{source.subdirectory}")

    async def _git(
        self,
        *arguments: str,
        directory: Path | None = None,
        access: Mapping[str, str] = _ANONYMOUS,
    ) -> str:
        where = ("-C", str(directory)) if directory is not None else ()
        try:
            done = await spawn.run(
                ["git", *_GIT_SETTINGS, *where, *arguments],
                env={**_GIT_ENVIRONMENT, **access},
                timeout_s=_GIT_TIMEOUT_S,
            )
        except FileNotFoundError as error:
            raise System("git is not installed on the host of the daemon") from error
        if done.code:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise System(f"git {arguments[0]} failed: {remotes.redact(said)}")
        return done.stdout.decode("utf-8", "replace")

    async def _resolve(self, source: GitSource, access: Mapping[str, str]) -> str:
        is_commit = _COMMIT.match(source.ref)
        is_public = not access and urlsplit(source.url).scheme in {"http", "https", "git"}
        if is_commit and is_public:
            return source.ref
        wanted = source.ref or "HEAD"
        listed = await self._git("ls-remote", "--", source.url, access=access)
        if is_commit:  # who asks may see the repository, though it may be in the cache
            return source.ref
        refs: dict[str, str] = {}
        for line in listed.splitlines():
            commit, _, name = line.partition("\t")
            refs[name] = commit
        for candidate in (
            *(f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}"),
            *(wanted, f"refs/{wanted}"),
        ):
            if candidate in refs:
                return refs[candidate]
        raise NotFound(f"repository does not contain ref {wanted}", hint=remotes.redact(source.url))

    async def _clone(
        self, source: GitSource, commit: str, note: str, access: Mapping[str, str]
    ) -> Record:
        identity = caches.new_record_id()
        directory = self._cache.root / "sources" / identity
        git = partial(self._git, directory=directory, access=access)
        await offload.run("fs", directory.mkdir, 0o755, True)  # noqa: FBT003 - with parents
        try:
            await git("init", "--quiet", "--initial-branch=main")
            await git("remote", "add", "origin", "--", source.url)
            try:
                await git("fetch", "--quiet", "--depth=1", "origin", commit)
            except System:
                await git("fetch", "--quiet", "--tags", "origin")
            await git("checkout", "--quiet", "--force", commit)
            await git("submodule", "update", "--quiet", "--init", "--recursive", "--depth=1")
            stamp = (await git("log", "-1", "--format=%ct")).strip()
            if not source.keep_git_directory:
                await offload.run("fs", atomicfile.remove_tree, directory / ".git")
            await offload.run("fs", _set_times, directory, int(stamp or 0))
        except BaseException:
            atomicfile.remove_tree(directory)
            raise
        now = clock.now_ns()
        record = Record(
            id=identity,
            kind=caches.SOURCE_GIT,
            description=f"git snapshot for {remotes.redact(source.url)}#{commit}",
            path=f"sources/{identity}",
            size=await offload.run("fs", directory_size, directory),
            created_ns=now,
            last_used_ns=now,
            usage_count=1,
            note=note,
        )
        self._cache.add(record)
        return replace(record)


async def _refuse_link_local(url: str) -> None:
    """Raise Forbidden if the host of *url* is link-local."""
    host = urlsplit(url).hostname or ""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    for *_, address in found:
        if ipaddress.ip_address(str(address[0]).partition("%")[0]).is_link_local:
            raise Forbidden(f"refusing to fetch from the link-local address of {host}")


def _file_name(source: HttpSource, response: Response) -> str:
    """Choose the name of the file; what a server says may only be a plain name."""
    if source.file_name:
        return source.file_name
    disposition = response.headers.get("content-disposition") or ""
    found = re.search(r'filename="?([^";]+)"?', disposition)
    candidates = [found[1]] if found else []
    candidates.append(posixpath.basename(unquote(urlsplit(source.url).path)))
    for name in candidates:
        if name not in {"", ".", ".."} and _SAFE_NAME.match(name) and len(name) < 256:
            return name
    return "download"


def _timestamp(text: str) -> int:
    try:
        return int(email_utils.parsedate_to_datetime(text).timestamp())
    except (TypeError, ValueError):
        return 0


def _check(path: Path, checksum: str) -> None:
    algorithm, _, wanted = checksum.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != wanted:
        raise InvalidParameter(
            f"digest mismatch {algorithm}:{found}: {checksum}", hint="the file has changed"
        )


def _subdirectory(root: Path, path: str) -> Path:
    """Return a directory of a checkout; a link on the way is refused (CVE-2026-33748)."""
    if not path:
        return root
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
        os.close(openat2(root_fd, path, os.O_PATH | os.O_DIRECTORY, resolve=resolve))
    except OSError as error:
        raise NotFound(f"subdir not a directory {path!r}") from error
    finally:
        os.close(root_fd)
    return root / path


def _set_times(root: Path, stamp_s: int) -> None:
    times = (stamp_s, stamp_s)
    for directory, names, files in os.walk(root, topdown=False):
        for name in (*files, *names):
            os.utime(Path(directory, name), times, follow_symlinks=False)
    os.utime(root, times)
