"""What a client asks of a build, beside the Dockerfile and its files."""

from __future__ import annotations

from msgspec import Struct, field

from moorage.build.graph import Limits
from moorage.lib.errors import InvalidParameter
from moorage.spec.platforms import Platform

SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"


class Output(Struct, frozen=True, kw_only=True):
    """One ``--output``."""

    type: str = "image"
    attributes: dict[str, str] = field(default_factory=dict)


class CacheOption(Struct, frozen=True, kw_only=True):
    """One ``--cache-from`` or ``--cache-to``."""

    type: str = "registry"
    attributes: dict[str, str] = field(default_factory=dict)


class Attestation(Struct, frozen=True, kw_only=True):
    """One ``--attest``: ``provenance`` or ``sbom``."""

    type: str
    mode: str = "min"  # provenance: min or max


class BuildOptions(Struct, frozen=True, kw_only=True):
    """Everything that is not in the files."""

    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    build_args: dict[str, str | None] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    target: str = ""
    platforms: tuple[Platform, ...] = ()  # empty: this machine's
    no_cache: bool = False
    no_cache_stages: tuple[str, ...] = ()
    pull: bool = False
    cache_from: tuple[CacheOption, ...] = ()
    cache_to: tuple[CacheOption, ...] = ()
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()
    squash: bool = False
    outputs: tuple[Output, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    contexts: dict[str, str] = field(default_factory=dict)  # named: name -> where
    allow: frozenset[str] = frozenset()
    quiet: bool = False
    check: bool = False  # lint only
    debug: bool = False  # keep the state before a failure as an image
    remote: str = ""  # context by URL

    @property
    def epoch_s(self) -> int | None:
        """Return SOURCE_DATE_EPOCH, if given. Raises: InvalidParameter."""
        text = self.build_args.get(SOURCE_DATE_EPOCH)
        if not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text}") from error
