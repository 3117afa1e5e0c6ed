"""``rmi``: Docker's rules about names, children and containers, and its very sentences."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib import ids
from moorage.lib.errors import Conflict
from moorage.spec import reference as references
from moorage.spec.engine.image import ImageDeleteResponseItem as Item
from moorage.spec.reference import Reference


def remove(parts: Parts, ref: str, *, force: bool, prune: bool) -> list[Item]:
    """Take a name away, or remove an image with its names; return what was done, in order.

    *prune*: untagged parents that nothing else needs go too. Blocks.
    Events: ``untag``, ``delete``. Raises: NotFound, Conflict.
    """
    found = forget(parts, ref, force=force, prune=prune)
    parts.collect()
    return found


def forget(parts: Parts, ref: str, *, force: bool, prune: bool) -> list[Item]:
    """As ``remove``, but the bytes are left to the next collection."""
    found: list[Item] = []
    before = parts.store.variants()
    _remove(parts, ref, found, force=force, prune=prune)
    orphans = before - parts.store.variants()  # other platforms of what the name stood for
    for image in parts.store.all():
        if image.manifest.digest in orphans and not parts.store.references(image.id):
            _delete(parts, image, found, force=force, prune=prune, quiet=True)
    return found


def _remove(parts: Parts, ref: str, found: list[Item], *, force: bool, prune: bool) -> None:
    image = parts.store.resolve(ref)
    names = parts.store.references(image.id)
    by_name = not parts.store.is_id(ref, image.id)
    if by_name:
        if not force and _is_single(names):
            _require_unused_name(parts, image, ref)
        _untag(parts, image, _as_stored(ref), found)
        _untag_digests(parts, image, _as_stored(ref), found)
        if parts.store.references(image.id):
            return
    elif _is_single(names):
        _check(parts, image, soft=not force, names=False)
        for name in names:
            _untag(parts, image, name, found)
    _delete(parts, image, found, force=force, prune=prune, quiet=by_name)


def require_unused(parts: Parts, image: Image, *, force: bool) -> None:
    """Refuse if a child or a container needs the image. Raises: Conflict."""
    _check(parts, image, soft=not force, names=False)


def _as_stored(ref: str) -> Reference:
    name = references.parse_with_default_tag(ref)
    return name.with_digest(name.digest) if name.digest is not None else name


def _untag(parts: Parts, image: Image, name: Reference, found: list[Item]) -> None:
    parts.store.untag(name)
    found.append(Item(untagged=name.familiar))
    parts.announce("untag", image.id, image.id)


def _untag_digests(parts: Parts, image: Image, gone: Reference, found: list[Item]) -> None:
    """The digests of a repository go with the last tag of that repository."""
    if gone.digest is not None:
        return
    same = [n for n in parts.store.references(image.id) if n.name == gone.name]
    if all(name.digest is not None for name in same):
        for name in same:
            _untag(parts, image, name, found)


def _is_single(names: Sequence[Reference]) -> bool:
    """Whether the names are at most one tag, with digests of its repository only."""
    if len(names) <= 1:
        return True
    tags = [name for name in names if name.digest is None]
    if len(tags) > 1:
        return False
    repositories = {name.name for name in names if name.digest is not None}
    return repositories == {tags[0].name if tags else names[0].name}


def _require_unused_name(parts: Parts, image: Image, ref: str) -> None:
    uses = parts.users.using(image.id)
    if uses:
        raise Conflict(
            f'conflict: unable to remove repository reference "{ref}" (must force) - container'
            f" {ids.short(uses[0].container_id)} is using its referenced image"
            f" {ids.short(image.id)}"
        )


def _refusal(image: Image, why: str, *, hard: bool) -> Conflict:
    must = "cannot be forced" if hard else "must be forced"
    return Conflict(f"conflict: unable to delete {ids.short(image.id)} ({must}) - {why}")


def _check(parts: Parts, image: Image, *, soft: bool, names: bool) -> None:
    """Refuse if something needs the image. Raises: Conflict."""
    if parts.store.children(image.id):
        raise _refusal(image, "image has dependent child images", hard=True)
    uses = parts.users.using(image.id)
    for use in uses:
        if use.running:
            short = ids.short(use.container_id)
            why = f"image is being used by running container {short}"
            raise _refusal(image, why, hard=True)
    if not soft:
        return
    if names and parts.store.references(image.id):
        raise _refusal(image, "image is referenced in multiple repositories", hard=False)
    if uses:
        short = ids.short(uses[0].container_id)
        why = f"image is being used by stopped container {short}"
        raise _refusal(image, why, hard=False)


def _delete(
    parts: Parts, image: Image, found: list[Item], *, force: bool, prune: bool, quiet: bool
) -> None:
    """Remove the image, and its parents as far as nothing needs them.

    *quiet*: a refusal of an image that has just lost its last name is no failure.
    """
    current: Image | None = image
    while current is not None:
        try:
            _check(parts, current, soft=not force, names=True)
        except Conflict:
            if quiet:
                return
            raise
        for name in parts.store.references(current.id):
            _untag(parts, current, name, found)
        chain = current.chain
        parts.announce("delete", current.id, current.id)
        parts.store.remove(current.id)
        found.append(Item(deleted=current.id))
        kept = {chain_id for other in parts.store.all() for chain_id in other.chain}
        kept |= {rw.parent for rw in parts.layers.writables() if rw.parent is not None}
        found += [Item(deleted=chain_id) for chain_id in reversed(chain) if chain_id not in kept]
        current = parts.store.find(current.parent) if prune and current.parent else None
        force, quiet = False, True
