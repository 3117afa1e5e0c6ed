"""Hands a finished build to where it shall go (``--output``).

``image``     stored and tagged, the default; with ``push=true`` pushed too (``registry``)
``local``     the files, for a directory of the client
``tar``       the files as a tar
``oci``       an archive with an OCI layout, one entry for each platform and its attestations
``docker``    the same for ``docker load``
``cacheonly`` nothing: the build only fills the cache
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

import msgspec

from moorage.build import image, layout
from moorage.build.exporters import provenance, sbom
from moorage.build.exporters.product import Product
from moorage.build.needs import CredentialsOf, ImageSink, Report
from moorage.build.options import BuildOptions, Output
from moorage.build.progress import Progress, StatusEvent
from moorage.build.recovery import new_layer_id
from moorage.build.result import LayerRef, Snapshot
from moorage.build.session import Session
from moorage.build.views import Views
from moorage.lib import atomicfile, clock, ids, offload
from moorage.lib.errors import InvalidParameter, NotImplemented_
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec import mediatype, reference
from moorage.spec.digest import Digest
from moorage.spec.oci.image import ImageConfig, RootFS
from moorage.storage.archive.chunks import of_file
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions, Whiteouts
from moorage.storage.archive.pack import pack
from moorage.storage.layers import LayerStore

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.convert import Converted

TYPES: Final = ("image", "registry", "local", "tar", "oci", "docker", "cacheonly", "moby")
_COMPRESSIONS: Final[dict[str, mediatype.Compression]] = {
    "": "gzip",
    "gzip": "gzip",
    "zstd": "zstd",
    "uncompressed": "none",
}


class Pusher(Protocol):
    """Pushes an image of the store."""

    async def __call__(self, name: str, credentials: CredentialsOf, report: Report) -> None:
        """Push *name*."""
        ...


class Exporters:
    """One for the daemon."""

    def __init__(
        self,
        *,
        layers: LayerStore,
        views: Views,
        open_layer: Callable[[Digest], BinaryIO],
        images: ImageSink,
        push: Pusher | None,
        scratch: Path,
    ) -> None:
        self._layers = layers
        self._views = views
        self._open_layer = open_layer
        self._images = images
        self._push = push
        self._scratch = scratch

    def open(self) -> None:
        """Remove what builds of a former daemon left."""
        atomicfile.remove_tree(self._scratch)
        self._scratch.mkdir(mode=0o700, parents=True)

    async def export(
        self,
        products: Sequence[Product],
        options: BuildOptions,
        session: Session,
        build_id: str,
        progress: Progress,
    ) -> Digest | None:
        """Give the build to all its outputs; return the id of the stored image, if any.

        Raises: InvalidParameter, NotImplemented_, and what storing and pushing raise.
        """
        if options.squash:
            products = [await offload.run("fs", self._squash, product) for product in products]
        outputs = options.outputs or (Output(type="image"),)
        image_id: Digest | None = None
        for output in outputs:
            kind = output.type
            if kind not in TYPES:
                raise InvalidParameter(
                    f'exporter "{kind}" could not be found', hint=f"known: {', '.join(TYPES)}"
                )
            if kind in {"image", "registry", "moby"}:
                image_id = await self._store(products, options, output, build_id)
                if kind == "registry" or output.attributes.get("push") == "true":
                    await self._push_all(options, output, session, progress)
            elif kind in {"oci", "docker"}:
                path = self._scratch / f"{build_id}-{ids.token()}"
                await offload.run("fs", self._archive, products, options, output, build_id, path)
                session.outputs[kind] = path
            elif kind in {"local", "tar"}:
                path = self._scratch / f"{build_id}-{ids.token()}"
                await offload.run("fs", self._files, products, options, build_id, path)
                session.outputs[kind] = path
        return image_id

    # --- images --------------------------------------------------------------------------------

    async def _store(
        self, products: Sequence[Product], options: BuildOptions, output: Output, build_id: str
    ) -> Digest:
        product = products[0]
        if len(products) > 1 or options.attestations:
            await self._store_index(products, options, output, build_id)
            return digests.of(product.encoded_config())
        failpoint("build.export.before_image")
        image_id = await self._images.add(product.encoded_config(), product.snapshot.layers)
        failpoint("build.export.before_tag")
        for name in _names(options, output):
            await self._images.tag(image_id, name)
        return image_id

    async def _store_index(
        self, products: Sequence[Product], options: BuildOptions, output: Output, build_id: str
    ) -> None:
        """Store what is more than one image - platforms, statements - as ``load`` would."""
        path = self._scratch / f"{build_id}-{ids.token()}"
        whole = Output(type="oci", attributes=output.attributes)
        try:
            await offload.run("fs", self._archive, products, options, whole, build_id, path)
            await self._images.load(path / "output.tar")
        finally:
            await offload.run("fs", atomicfile.remove_tree, path)

    async def keep_state(self, converted: Converted, snapshot: Snapshot) -> Digest:
        """Store the state before a failed step as an image without a name (``--debug``)."""
        config = ImageConfig(
            created=clock.rfc3339(clock.now_ns()),
            architecture=converted.platform.architecture,
            variant=converted.platform.variant,
            os=converted.platform.os,
            config=converted.config,
            rootfs=RootFS(diff_ids=[layer.diff_id for layer in snapshot.layers]),
        )
        return await self._images.add(image.encode(config), snapshot.layers)

    async def _push_all(
        self, options: BuildOptions, output: Output, session: Session, progress: Progress
    ) -> None:
        names = _names(options, output)
        if not names:
            raise InvalidParameter("tag is needed when pushing to registry")
        if self._push is None:
            raise NotImplemented_("pushing is not available in this daemon")
        for name in names:

            def report(item: str, current: int, total: int, name: str = name) -> None:
                progress.emit(
                    StatusEvent(id=f"push {name}", name=item, current=current, total=total)
                )

            await self._push(name, session.credentials_for, report)

    def _squash(self, product: Product) -> Product:
        """Lay all layers of the build into one."""
        own = product.snapshot.layers[product.base_layers :]
        if len(own) < 2:
            return product
        base = product.snapshot.layers[: product.base_layers]
        parent = base[-1].chain_id if base else None
        identity = new_layer_id()
        try:
            self._layers.create_rw(identity, parent=parent, init=False, mapped=False)
            with self._layers.mounted(identity, "squash") as root_fd:
                options = ExtractOptions(whiteouts=Whiteouts.APPLY)
                for layer in own:
                    with self._open_layer(layer.diff_id) as tar:
                        extract(root_fd, "", of_file(tar), options)
            made = self._layers.settle_rw(identity)
        finally:
            self._layers.remove_rw(identity)
        layers = (*base, LayerRef(made.diff_id, made.chain_id, made.size))
        return Product(
            converted=product.converted,
            snapshot=Snapshot(layers),
            config=image.squashed(product.config, product.base_layers, layers),
            base_layers=product.base_layers,
            dockerfile=product.dockerfile,
            started_ns=product.started_ns,
            inline_cache=product.inline_cache,
        )

    # --- archives ------------------------------------------------------------------------------

    def _archive(
        self,
        products: Sequence[Product],
        options: BuildOptions,
        output: Output,
        build_id: str,
        path: Path,
    ) -> None:
        path.mkdir(mode=0o700)
        name = output.attributes.get("compression", "")
        if name not in _COMPRESSIONS:
            raise InvalidParameter(
                f"unsupported layer compression type: {name}", hint="gzip, zstd or uncompressed"
            )
        blobs = layout.Blobs(path)
        entries = []
        for product in products:
            parts = layout.ImageParts(
                config=product.encoded_config(),
                diff_ids=tuple(layer.diff_id for layer in product.snapshot.layers),
                platform=product.converted.platform,
                statements=tuple(self._statements(product, options, build_id)),
            )
            entries += layout.add_image(blobs, parts, self._open_layer, _COMPRESSIONS[name])
        with (path / "output.tar").open("wb") as file:
            layout.write(
                file, blobs, entries, _names(options, output), docker=output.type == "docker"
            )

    def _statements(
        self, product: Product, options: BuildOptions, build_id: str
    ) -> Iterator[Callable[[Digest], layout.Statement]]:
        def provenance_of(mode: str, subject: Digest) -> layout.Statement:
            return provenance.statement(product, options, mode, build_id=build_id, subject=subject)

        for wanted in options.attestations:
            if wanted.type == "provenance":
                yield partial(provenance_of, wanted.mode)
            elif wanted.type == "sbom":
                yield partial(self._sbom, product, options)
            else:
                raise InvalidParameter(f"unknown attestation type {wanted.type!r}")

    def _sbom(self, product: Product, options: BuildOptions, subject: Digest) -> layout.Statement:
        with self._view(product.snapshot) as root_fd:
            return sbom.statement(root_fd, options.tags[0] if options.tags else "image", subject)

    @contextmanager
    def _view(self, snapshot: Snapshot) -> Iterator[int]:
        with self._views.view(snapshot.chain_id) as root:
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)

    def _files(
        self, products: Sequence[Product], options: BuildOptions, build_id: str, path: Path
    ) -> None:
        """Write the files of the build as a tar, with the attestations beside them."""
        path.mkdir(mode=0o700)
        with (path / "output.tar").open("wb") as file:
            for number, product in enumerate(products):
                prefix = ""
                if len(products) > 1:
                    prefix = str(product.converted.platform).replace("/", "_")
                last = number == len(products) - 1
                for statement in self._statements(product, options, build_id):
                    found = statement(Digest("sha256:" + "0" * 64))
                    kind = (
                        "sbom.spdx"
                        if found.predicate_type == sbom.PREDICATE_TYPE
                        else ("provenance")
                    )
                    content = msgspec.json.format(found.content, indent=2)
                    where = f"{prefix}/{kind}.json" if prefix else f"{kind}.json"
                    layout.write_member(file, where, content)
                with self._view(product.snapshot) as root_fd:
                    self._pack(root_fd, prefix, file, last=last)

    @staticmethod
    def _pack(root_fd: int, prefix: str, file: BinaryIO, *, last: bool) -> None:
        """Write the tree; only the *last* one ends the archive."""
        end = bytes(layout.END_BYTES)
        held = b""
        for chunk in pack(root_fd, name=prefix):
            file.write(held)
            held = chunk
        file.write(held if last or not held.endswith(end) else held[: -len(end)])


def _names(options: BuildOptions, output: Output) -> list[str]:
    """Return the names of the image in full."""
    given = [*options.tags, *filter(None, output.attributes.get("name", "").split(","))]
    return list(dict.fromkeys(str(reference.parse_with_default_tag(name)) for name in given))
