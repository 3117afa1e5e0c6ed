"""Routes of the ``Image`` tag; those of the builder are in ``build.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from moorage.api.request import Request
from moorage.api.results import Created, JsonStream, Stream
from moorage.api.routing import route
from moorage.images import importing, search
from moorage.images.service import parse_name
from moorage.lib.errors import InvalidParameter
from moorage.registry.credentials import HEADER, decode_header
from moorage.spec import gojson, platforms
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.image import (
    ImageDeleteResponseItem,
    ImageHistoryResponseItem,
    ImageInspect,
    ImagePruneResponse,
    ImageSummary,
)
from moorage.spec.platforms import Platform

if TYPE_CHECKING:
    from moorage.images.attestations import AttestationStatement
    from moorage.images.service import Images
    from moorage.registry.registries import Registries, SearchResult

_TAR: Final = "application/x-tar"


class ListQuery(Struct, frozen=True):
    """Parameters of ``ImageList``."""

    all: bool = False
    filters: Filters = field(default_factory=Filters)
    shared_size: bool = field(default=False, name="shared-size")
    manifests: bool = False


class CreateQuery(Struct, frozen=True, rename="camel"):
    """Parameters of ``ImageCreate``: a pull, or with *from_src* an import."""

    from_image: str = ""
    from_src: str = ""
    repo: str = ""
    tag: str = ""
    message: str = ""
    changes: list[str] = []
    platform: str = ""


class InspectQuery(Struct, frozen=True):
    """Parameters of ``ImageInspect``."""

    manifests: bool = False
    platform: str = ""


class HistoryQuery(Struct, frozen=True):
    """Parameters of ``ImageHistory``."""

    platform: str = ""


class AttestationsQuery(Struct, frozen=True):
    """Parameters of ``ImageAttestations``."""

    platform: list[str] = []
    type: list[str] = []
    statement: bool = False


class TagQuery(Struct, frozen=True):
    """Parameters of ``ImageTag``."""

    repo: str = ""
    tag: str = ""


class DeleteQuery(Struct, frozen=True):
    """Parameters of ``ImageDelete``."""

    force: bool = False
    noprune: bool = False
    platforms: list[str] = []


class PushQuery(Struct, frozen=True):
    """Parameters of ``ImagePush``."""

    tag: str = ""
    platform: str = ""


class SearchQuery(Struct, frozen=True):
    """Parameters of ``ImageSearch``."""

    term: str = ""
    limit: int = 0
    filters: Filters = field(default_factory=Filters)


class PruneQuery(Struct, frozen=True):
    """Parameters of ``ImagePrune``."""

    filters: Filters = field(default_factory=Filters)


class GetQuery(Struct, frozen=True):
    """Parameters of ``ImageGet`` and ``ImageGetAll``."""

    names: list[str] = []
    platform: list[str] = []


class LoadQuery(Struct, frozen=True):
    """Parameters of ``ImageLoad``."""

    quiet: bool = True  # dockerd's default, too
    platform: list[str] = []


@route("GET", "/images/json", "ImageList")
def image_list(images: Images, query: ListQuery) -> list[ImageSummary]:
    """200; 400 unknown filter; 404 the image of ``before`` or ``since``."""
    return images.list_images(
        query.filters,
        show_all=query.all,
        shared_size=query.shared_size,
        with_manifests=query.manifests,
    )


@route("POST", "/images/create", "ImageCreate")
async def image_create(images: Images, request: Request, query: CreateQuery) -> JsonStream:
    """200 with progress, errors behind the first message in the stream; 404 no such image."""
    if query.from_image:
        return JsonStream(
            images.pull(
                query.from_image,
                tag=query.tag,
                platform=query.platform,
                credentials=decode_header(request.headers.get(HEADER)),
            )
        )
    if not query.from_src:
        raise InvalidParameter("one of fromImage and fromSrc is required")
    options = importing.ImportOptions(
        name=parse_name(query.repo, query.tag) if query.repo else None,
        message=query.message,
        source=query.from_src,
        changes=query.changes,
        platform=platforms.parse(query.platform, default=images.store.host)
        if query.platform
        else None,
    )
    if query.from_src == "-":
        return JsonStream(images.import_image(request.body_stream(), options))
    return JsonStream(images.import_from(query.from_src, options))


@route("GET", "/images/{name:path}/json", "ImageInspect")
def image_inspect(images: Images, name: str, query: InspectQuery) -> ImageInspect:
    """200; 404 no such image."""
    if query.platform and query.manifests:
        raise InvalidParameter(
            "conflicting options: manifests and platform options cannot both be set"
        )
    return images.inspect(
        name, platform=_json_platform(query.platform), with_manifests=query.manifests
    )


@route("GET", "/images/{name:path}/attestations", "ImageAttestations")
def image_attestations(
    images: Images, name: str, query: AttestationsQuery
) -> list[AttestationStatement]:
    """200; 400 several platforms; 404 no such image or platform."""
    wanted = _json_platforms(query.platform)
    if len(wanted) > 1:
        raise InvalidParameter("multiple platforms are not supported")
    return images.attestations(
        name, wanted[0] if wanted else None, query.type, statement=query.statement
    )


@route("GET", "/images/{name:path}/history", "ImageHistory")
def image_history(images: Images, name: str, query: HistoryQuery) -> list[ImageHistoryResponseItem]:
    """200; 404 no such image."""
    return images.history(name, platform=_json_platform(query.platform))


@route("POST", "/images/{name:path}/push", "ImagePush")
async def image_push(images: Images, name: str, request: Request, query: PushQuery) -> JsonStream:
    """200 with progress, errors in the stream; 404 no such image here."""
    return JsonStream(
        images.push(
            name,
            tag=query.tag,
            platform=_json_platform(query.platform),
            credentials=decode_header(request.headers.get(HEADER)),
        )
    )


@route("POST", "/images/{name:path}/tag", "ImageTag")
def image_tag(images: Images, name: str, query: TagQuery) -> Created:
    """201; 400 bad name; 404 no such image."""
    images.tag(name, repository=query.repo, tag=query.tag)
    return Created(None)


@route("DELETE", "/images/{name:path}", "ImageDelete")
async def image_delete(
    images: Images, name: str, query: DeleteQuery
) -> list[ImageDeleteResponseItem]:
    """200; 404 no such image; 409 in use."""
    return await images.remove(
        name,
        force=query.force,
        prune=not query.noprune,
        platforms=_json_platforms(query.platforms),
    )


@route("GET", "/images/search", "ImageSearch")
async def image_search(
    registries: Registries, request: Request, query: SearchQuery
) -> list[SearchResult]:
    """200; 400 bad limit or filter."""
    return await search.search(
        registries,
        query.term,
        limit=query.limit,
        filters=query.filters,
        credentials=decode_header(request.headers.get(HEADER)),
    )


@route("POST", "/images/prune", "ImagePrune")
async def image_prune(images: Images, query: PruneQuery) -> ImagePruneResponse:
    """200; 400 unknown filter."""
    deleted, reclaimed = await images.prune(query.filters)
    return ImagePruneResponse(images_deleted=deleted or None, space_reclaimed=reclaimed)


@route("GET", "/images/{name:path}/get", "ImageGet")
async def image_get(images: Images, name: str, query: GetQuery) -> Stream:
    """200 with a tar; 404 no such image."""
    return Stream(_TAR, images.save([name], platforms=_json_platforms(query.platform)))


@route("GET", "/images/get", "ImageGetAll")
async def image_get_all(images: Images, query: GetQuery) -> Stream:
    """200 with a tar; 404 no such image."""
    return Stream(_TAR, images.save(query.names, platforms=_json_platforms(query.platform)))


@route("POST", "/images/load", "ImageLoad")
async def image_load(images: Images, request: Request, query: LoadQuery) -> JsonStream:
    """200 with what was loaded, and what is wrong with the archive; 400 bad platform."""
    platforms = _json_platforms(query.platform)
    loaded = images.load(request.body_stream(), platforms=platforms, quiet=query.quiet)
    return JsonStream(loaded, tells_all=True)


def _json_platforms(texts: list[str]) -> list[Platform]:
    """Decode ``platform``, given several times or as one JSON list."""
    found: list[Platform] = []
    for text in filter(None, texts):
        if text.startswith("["):
            try:
                raw = msgspec.json.decode(text, type=list[msgspec.Raw])
            except msgspec.DecodeError as error:
                raise InvalidParameter(f"failed to parse platform: {error}") from error
            found += [_platform(bytes(item).decode()) for item in raw]
        else:
            found.append(_platform(text))
    return found


def _json_platform(text: str) -> Platform | None:
    return _platform(text) if text else None


def _platform(text: str) -> Platform:
    """Decode a platform, as the JSON of the API or in the short form of older clients."""
    if text.startswith("{"):
        return platforms.normalize(gojson.decode(text, Platform))
    return platforms.parse(text)
