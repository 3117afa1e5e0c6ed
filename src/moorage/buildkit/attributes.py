"""What a solve asks of the Dockerfile frontend, as options of our builder. Pure.

BuildKit's frontend takes a flat table of attributes; what is not known here is refused by name, so
that nothing a client asks for is silently left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from moorage.build import graph, remotes
from moorage.build import options as wanted
from moorage.buildkit.wire.control import CacheOption, CacheOptions, Exporter, SolveRequest
from moorage.lib.errors import InvalidParameter, NotImplemented_
from moorage.spec import platforms
from moorage.spec.platforms import Platform

FRONTENDS: Final = ("dockerfile.v0", "gateway.v0")
UPLOADED: Final = "http://buildkit-session/"
_DOCKERFILE_IMAGES: Final = ("docker/dockerfile", "docker.io/docker/dockerfile")
_NETWORKS: Final = {"": "default", "sandbox": "default", "host": "host", "none": "none"}
_TRUE: Final = frozenset({"1", "t", "true"})
_CAPS: Final = frozenset(
    {
        "moby.buildkit.frontend.contexts",
        "moby.buildkit.frontend.gitquerystring",
        "moby.buildkit.frontend.gitquerystring+forward",
    }
)
_PREFIXES: Final = ("build-arg:", "label:", "context:", "attest:", "vcs:", "input-metadata:")
_SINGLE: Final = frozenset(
    {
        *("filename", "target", "platform", "no-cache", "image-resolve-mode", "add-hosts"),
        *("force-network-mode", "shm-size", "ulimit", "cgroup-parent", "hostname", "context"),
        *("contextkey", "dockerfilekey", "contextsubdir", "source", "cmdline", "cache-from"),
        *("cache-imports", "multi-platform", "frontend.caps", "localsessionid", "requestid"),
    }
)


class Request(Struct, frozen=True, kw_only=True):
    """What a frontend is asked for."""

    options: wanted.BuildOptions
    context: str = "context"  # the client's name of the main directory; "" if it is elsewhere
    dockerfile: str = (
        "dockerfile"  # the client's name of where the Dockerfile is; "": in the context
    )
    upload: str = ""  # the client uploads the context as this
    subrequest: str = ""


def read(
    frontend: str,
    attrs: Mapping[str, str],
    *,
    solve: SolveRequest,
    cache_from: Sequence[CacheOption],
    host: Platform,
) -> Request:
    """Return what is asked for: by *attrs* of the frontend and by the *solve* around it.

    Raises: InvalidParameter, NotImplemented_ (what this builder has not).
    """
    cache = solve.cache or CacheOptions()
    exporters = solve.exporters
    if not exporters and solve.exporter:
        exporters = [Exporter(type=solve.exporter, attrs=solve.exporter_attrs)]
    _check(frontend, attrs)
    arguments = _after("build-arg:", attrs)
    if "hostname" in attrs:
        arguments.setdefault("BUILDKIT_SANDBOX_HOSTNAME", attrs["hostname"])
    contexts = _after("context:", attrs)
    main = attrs.get("context", "")
    remote = main if not main.startswith(UPLOADED) else ""
    if remote and remotes.parse_git(remote) is None and not remotes.is_url(remote):
        raise InvalidParameter(f"invalid context {remote!r}: neither Git nor http(s)")
    if attrs.get("contextsubdir"):
        raise NotImplemented_("contextsubdir is not built; name the directory in the address")
    outputs = [_output(exporter) for exporter in exporters]
    options = wanted.BuildOptions(
        dockerfile=attrs.get("filename", "") or "Dockerfile",
        build_args=dict(arguments),
        labels=_after("label:", attrs),
        target=attrs.get("target", ""),
        platforms=tuple(
            platforms.parse(text.strip(), default=host)
            for text in attrs.get("platform", "").split(",")
            if text.strip()
        ),
        no_cache=attrs.get("no-cache") == "",
        no_cache_stages=tuple(filter(None, attrs.get("no-cache", "").split(","))),
        pull=attrs.get("image-resolve-mode") == "pull",
        cache_from=tuple(_cache(entry) for entry in (*cache.imports, *cache_from)),
        cache_to=tuple(_cache(entry) for entry in cache.exports),
        network=_network(attrs),
        extra_hosts=tuple(f"{name}:{at}" for name, at in _pairs("add-hosts", attrs)),
        limits=graph.Limits(
            shm_bytes=_number("shm-size", attrs),
            cgroup_parent=attrs.get("cgroup-parent", ""),
            ulimits=tuple(_ulimit(name, value) for name, value in _pairs("ulimit", attrs)),
        ),
        outputs=tuple(outputs) or (wanted.Output(type="cacheonly"),),
        attestations=tuple(_attestations(attrs, outputs)),
        contexts={name: _context(where) for name, where in contexts.items()},
        allow=frozenset(solve.entitlements),
        remote=remote,
    )
    apart = "dockerfilekey" in attrs or not main
    return Request(
        options=options,
        context=attrs.get("contextkey", "context") if not main else "",
        dockerfile=attrs.get("dockerfilekey", "dockerfile") if apart else "",
        upload=main.removeprefix(UPLOADED) if main.startswith(UPLOADED) else "",
        subrequest=attrs.get("requestid", ""),
    )


def _check(frontend: str, attrs: Mapping[str, str]) -> None:
    if frontend not in FRONTENDS:
        raise NotImplemented_(
            f"frontend {frontend!r} cannot be run: this builder reads Dockerfiles itself"
        )
    source = attrs.get("source", attrs.get("cmdline", "")).partition(" ")[0]
    name = source.partition("@")[0].rpartition(":")[0] or source
    if frontend == "gateway.v0" and name.removesuffix("-upstream") not in _DOCKERFILE_IMAGES:
        raise NotImplemented_(
            f"frontend image {source!r} cannot be run: this builder reads Dockerfiles itself"
        )
    for cap in filter(None, attrs.get("frontend.caps", "").split(",")):
        if cap.removesuffix("+forward") not in _CAPS:
            raise NotImplemented_(f"the frontend capability {cap} is not built")
    for key in attrs:
        if key not in _SINGLE and not key.startswith(_PREFIXES):
            raise NotImplemented_(f"the frontend attribute {key!r} is not known here")


def _after(prefix: str, attrs: Mapping[str, str]) -> dict[str, str]:
    return {
        key.removeprefix(prefix): value for key, value in attrs.items() if key.startswith(prefix)
    }


def _pairs(name: str, attrs: Mapping[str, str]) -> list[tuple[str, str]]:
    """Read a comma-separated list of key=value. Raises: InvalidParameter."""
    text = attrs.get(name, "")
    if not text:
        return []
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidParameter(f"invalid {name}: {text!r}") from error
    pairs = [field.partition("=") for field in fields]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise InvalidParameter(f"invalid {name}: expected key=value, not {text!r}")
    return [(key, value) for key, _, value in pairs]


def _number(name: str, attrs: Mapping[str, str]) -> int:
    text = attrs.get(name, "") or "0"
    if not text.isdigit():
        raise InvalidParameter(f"invalid {name}: {text!r} is not a number of bytes")
    return int(text)


def _ulimit(name: str, value: str) -> graph.Ulimit:
    soft, _, hard = value.partition(":")
    try:
        return graph.Ulimit(name, int(soft), int(hard or soft))
    except ValueError as error:
        raise InvalidParameter(f"invalid ulimit: {name}={value}") from error


def _network(attrs: Mapping[str, str]) -> str:
    mode = attrs.get("force-network-mode", "")
    if mode not in _NETWORKS:
        raise InvalidParameter(
            f'network mode "{mode}" not supported by buildkit', hint="default, host or none"
        )
    return _NETWORKS[mode]


def _cache(entry: CacheOption) -> wanted.CacheOption:
    """Return a cache in or out; those in the client's own store need a service not built here."""
    if entry.type == "local":
        raise NotImplemented_(
            "caches of type local need the content service of the session, which is not built",
            hint="use type=registry or type=inline, or moor build",
        )
    return wanted.CacheOption(type=entry.type, attributes=dict(entry.attrs))


def _output(exporter: Exporter) -> wanted.Output:
    attributes = dict(exporter.attrs)
    kind = exporter.type
    if kind == "moby":  # buildx lets the Engine API push afterwards
        attributes.pop("push", None)
    if kind in {"oci", "docker"} and attributes.get("tar") == "false":
        raise NotImplemented_(
            f"type={kind},tar=false needs the content service of the session, which is not built"
        )
    return wanted.Output(type=kind, attributes=attributes)


def _attestations(
    attrs: Mapping[str, str], outputs: Iterable[wanted.Output]
) -> Iterable[wanted.Attestation]:
    """Yield what shall be attested.

    ``inline-only`` leaves out outputs beside which statements would have to lie: those of BuildKit
    that keep them inside are images with an index, which ``oci`` alone is here.
    """
    for kind, text in _after("attest:", attrs).items():
        options = dict(_pairs(f"attest:{kind}", attrs)) if "=" in text else {}
        if options.get("disabled", "").lower() in _TRUE:
            continue
        inline = options.get("inline-only", "").lower() in _TRUE
        if inline and not any(output.type == "oci" for output in outputs):
            continue
        yield wanted.Attestation(type=kind, mode=options.get("mode", "min"))


def _context(where: str) -> str:
    for scheme in ("oci-layout://", "input:", "target:"):
        if where.startswith(scheme):
            raise NotImplemented_(f"a named context of kind {scheme} is not built")
    return where
