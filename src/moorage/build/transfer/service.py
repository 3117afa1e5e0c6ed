"""``--cache-from`` and ``--cache-to`` of one build."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from moorage.build.cache import Cache
from moorage.build.layout import Blobs, OpenLayer
from moorage.build.needs import ImageFinder
from moorage.build.neighbours import Repositories
from moorage.build.options import BuildOptions, CacheOption
from moorage.build.progress import Progress, WarningEvent
from moorage.build.session import Session
from moorage.build.transfer import outgoing
from moorage.build.transfer.document import Travelling
from moorage.build.transfer.incoming import Incoming
from moorage.lib import ids, offload
from moorage.lib.errors import InvalidParameter, MoorageError, NotImplemented_
from moorage.registry.repository import Repository
from moorage.spec import reference as references
from moorage.spec.platforms import Platform

log = logging.getLogger(__name__)
INLINE_ARGUMENT: Final = "BUILDKIT_INLINE_CACHE"


class Transfers:
    """Carries caches in and out for all builds."""

    def __init__(
        self,
        *,
        cache: Cache,
        images: ImageFinder,
        repositories: Repositories | None,
        open_layer: OpenLayer,
        scratch: Path,
    ) -> None:
        self._cache = cache
        self._images = images
        self._repositories = repositories
        self._open_layer = open_layer
        self._scratch = scratch

    async def read(
        self, options: BuildOptions, session: Session, platform: Platform, progress: Progress
    ) -> Incoming | None:
        """Open the caches of ``--cache-from``; one that cannot be read is told and left out."""
        if not options.cache_from:
            return None
        incoming = Incoming(self._scratch)
        for number, option in enumerate(options.cache_from):
            try:
                await self._read_one(incoming, option, number, session, platform)
            except (MoorageError, OSError) as error:
                where = option.attributes.get("ref") or option.attributes.get("src") or option.type
                log.info("cache %s cannot be used: %s", where, error)
                progress.emit(
                    WarningEvent(rule="CacheNotUsed", detail=f"cache from {where}: {error}")
                )
        return incoming

    async def _read_one(
        self,
        incoming: Incoming,
        option: CacheOption,
        number: int,
        session: Session,
        platform: Platform,
    ) -> None:
        if option.type == "local":
            files = session.contexts.get(f"cache-from:{number}")
            if files is None:
                raise InvalidParameter("src is required for a local cache")
            await offload.run("fs", incoming.add_directory, files.root)
        elif option.type in {"registry", "inline"}:
            name = option.attributes.get("ref", "")
            here = self._images.configuration(name)
            if here is not None:
                incoming.add_local_image(here)
                return
            ways = await self._ways(name, session, push=False)
            await _first(
                [partial(incoming.add_repository, way, tag, platform) for way, tag in ways]
            )
        else:
            raise InvalidParameter(
                f"unknown cache importer: {option.type}", hint="known: registry, local"
            )

    async def _ways(
        self, name: str, session: Session, *, push: bool
    ) -> list[tuple[Repository, str]]:
        if not name:
            raise InvalidParameter("ref is required for a cache in a registry")
        if self._repositories is None:
            raise NotImplemented_("registries are not available in this daemon")
        full = references.parse_with_default_tag(name)
        given = await session.credentials_for(full.domain)
        ways = await self._repositories.repositories(full, given, push=push)
        return [(way, str(full.digest or full.tag)) for way in ways]

    @staticmethod
    def is_inline(options: BuildOptions) -> bool:
        """Say whether the image shall carry its cache itself."""
        argument = options.build_args.get(INLINE_ARGUMENT) or ""
        return argument.lower() in {"1", "true"} or any(
            option.type == "inline" for option in options.cache_to
        )

    async def write(
        self, options: BuildOptions, session: Session, records: dict[str, list[Travelling]]
    ) -> None:
        """Write the caches of ``--cache-to``; *records* by mode, ``min`` and ``max``.

        Raises: InvalidParameter, and what the registry's client raises.
        """
        for number, option in enumerate(options.cache_to):
            if option.type == "inline":
                continue
            mode = option.attributes.get("mode", "min")
            if mode not in records:
                raise InvalidParameter(f"invalid mode {mode!r} for --cache-to", hint="min or max")
            path = self._scratch / f"cache-{ids.token()}"
            path.mkdir(mode=0o700)
            session.outputs[f"cache-to:{number}"] = path
            blobs = Blobs(path)
            top = await offload.run("fs", outgoing.pack, blobs, records[mode], self._open_layer)
            if option.type == "local":
                with (path / "output.tar").open("wb") as file:
                    await offload.run("fs", outgoing.write, file, blobs, top)
            elif option.type == "registry":
                ref = option.attributes.get("ref", "")
                ways = await self._ways(ref, session, push=True)
                await _first([partial(outgoing.push, way, blobs, top, tag) for way, tag in ways])
            else:
                raise InvalidParameter(
                    f"unknown cache exporter: {option.type}",
                    hint="known: inline, local, registry",
                )


async def _first(attempts: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Try the ways to a registry in turn. Raises: what the last one raised."""
    for number, attempt in enumerate(attempts, start=1):
        try:
            await attempt()
        except (MoorageError, OSError):
            if number == len(attempts):
                raise
        else:
            return
