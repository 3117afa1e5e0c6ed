"""Columns of ``moor images`` and ``moor history``."""

from __future__ import annotations

from moorage.cli.format.listing import Table
from moorage.cli.references import split_tag
from moorage.cli.row import Row
from moorage.cli.text import age, ellipsis, go_time, short_id
from moorage.lib import clock, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

NONE = "<none>"
UNKNOWN = "N/A"
SECOND = 1_000_000_000
CREATED_BY_WIDTH = 45


def _size(value: int | None) -> str:
    return UNKNOWN if value is None or value < 0 else units.human_size(value)


class ImageRow(Row):
    """One name of an image."""

    kind = "formatter.imageContext"

    def __init__(
        self, summary: Json, repository: str, tag: str, digest: str, *, truncate: bool
    ) -> None:
        self.summary = summary
        self.repository = repository
        self.tag = tag
        self.digest = digest
        self.truncate = truncate

    def identifier(self) -> str:
        """Return the ID, shortened unless --no-trunc."""
        return short_id(self.summary["Id"]) if self.truncate else str(self.summary["Id"])

    def unique_size(self) -> str:
        """Return the bytes no other image has."""
        size, shared = self.summary["Size"], self.summary.get("SharedSize", -1)
        return UNKNOWN if shared is None or shared < 0 else units.human_size(size - shared)

    def containers(self) -> str:
        """Return how many containers use it."""
        count = self.summary.get("Containers", -1)
        return UNKNOWN if count is None or count < 0 else str(count)

    columns = {  # noqa: RUF012
        "Containers": containers,
        "CreatedAt": lambda self: go_time(self.summary["Created"] * SECOND),
        "CreatedSince": lambda self: age(self.summary["Created"]),
        "Digest": lambda self: self.digest,
        "ID": identifier,
        "Repository": lambda self: self.repository,
        "SharedSize": lambda self: _size(self.summary.get("SharedSize")),
        "Size": lambda self: units.human_size(self.summary["Size"], precision=3),
        "Tag": lambda self: self.tag,
        "UniqueSize": unique_size,
        "VirtualSize": lambda self: units.human_size(self.summary["Size"]),
    }


TABLE = Table(
    ("Repository", "Tag", "ID", "CreatedSince", "Size"),
    {
        "ID": "IMAGE ID",
        "Repository": "REPOSITORY",
        "Tag": "TAG",
        "Digest": "DIGEST",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "Size": "SIZE",
        "Containers": "CONTAINERS",
        "VirtualSize": "SIZE",
        "SharedSize": "SHARED SIZE",
        "UniqueSize": "UNIQUE SIZE",
    },
    raw=(
        *(("repository", "Repository"), ("tag", "Tag"), ("image_id", "ID")),
        *(("created_at", "CreatedAt"), ("virtual_size", "Size")),
    ),
)
DIGEST_TABLE = Table(
    ("Repository", "Tag", "Digest", *TABLE.columns[2:]),
    TABLE.headings,
    (*TABLE.raw[:2], ("digest", "Digest"), *TABLE.raw[2:]),
)


def rows(summaries: list[Json], *, truncate: bool, digests: bool) -> list[ImageRow]:
    """Return a row for every tag; with *digests* for every tag and digest of a repository."""
    found: list[ImageRow] = []
    for summary in summaries:
        names = _names(summary, digests=digests)
        found += [ImageRow(summary, *name, truncate=truncate) for name in names]
    return found


def first_row(summary: Json, *, truncate: bool) -> ImageRow:
    """Return one row for an image, with the first of its tags and no digest."""
    repository, tag, _ = _names(summary, digests=False)[0]
    return ImageRow(summary, repository, tag, "", truncate=truncate)


def _names(summary: Json, *, digests: bool) -> list[tuple[str, str, str]]:
    tags: dict[str, list[str]] = {}
    by_digest: dict[str, list[str]] = {}
    for name in summary.get("RepoTags") or ():
        if name != f"{NONE}:{NONE}":
            repository, tag = split_tag(name)
            tags.setdefault(repository, []).append(tag)
    for name in summary.get("RepoDigests") or ():
        if name != f"{NONE}@{NONE}":
            repository, digest = split_tag(name)
            by_digest.setdefault(repository, []).append(digest)
    found: list[tuple[str, str, str]] = []
    for repository, names in tags.items():
        known = by_digest.pop(repository, [])
        shown = (known or [NONE]) if digests else [known[0] if known else NONE]
        found += [(repository, tag, digest) for tag in names for digest in shown]
    for repository, known in by_digest.items():
        if digests:
            found += [(repository, NONE, digest) for digest in known]
        elif known:
            found.append((repository, NONE, known[0]))
    return found or [(NONE, NONE, NONE)]


class HistoryRow(Row):
    """One step in an image's making."""

    kind = "image.historyContext"

    def __init__(self, step: Json, *, truncate: bool, human: bool) -> None:
        self.step = step
        self.truncate = truncate
        self.human = human

    def created_by(self) -> str:
        """Return the instruction."""
        text = str(self.step.get("CreatedBy") or "").replace("\t", " ")
        return ellipsis(text, CREATED_BY_WIDTH) if self.truncate else text

    def size(self) -> str:
        """Return the layer's size."""
        size = self.step["Size"]
        return units.human_size(size, precision=3) if self.human else str(size)

    def created_at(self) -> str:
        """Return when, as RFC 3339."""
        if self.step["Created"] <= 0:
            return ""
        return clock.rfc3339(self.step["Created"] * SECOND)

    def created_since(self) -> str:
        """Return how long ago."""
        if not self.human:
            return self.created_at()
        created = self.step["Created"]
        return age(created) if created > 0 else UNKNOWN

    columns = {  # noqa: RUF012
        "Comment": lambda self: self.step.get("Comment") or "",
        "CreatedAt": created_at,
        "CreatedBy": created_by,
        "CreatedSince": created_since,
        "ID": lambda self: short_id(self.step["Id"]) if self.truncate else self.step["Id"],
        "Size": size,
    }


_HISTORY_HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
HISTORY_TABLE = Table(("ID", "CreatedSince", "CreatedBy", "Size", "Comment"), _HISTORY_HEADINGS)
EXACT_HISTORY_TABLE = Table(("ID", "CreatedAt", "CreatedBy", "Size", "Comment"), _HISTORY_HEADINGS)
