"""The query of ``POST /build`` as options of the builder. Pure."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct, field

from moorage.build import graph
from moorage.build import options as wanted
from moorage.lib.errors import InvalidParameter, NotImplemented_
from moorage.spec import gojson, platforms, reference
from moorage.spec.platforms import Platform

_Collection = TypeVar("_Collection")


class BuildQuery(Struct, frozen=True, kw_only=True):
    """Parameters of ``ImageBuild``."""

    dockerfile: str = ""
    t: list[str] = field(default_factory=list)
    extrahosts: list[str] = field(default_factory=list)
    remote: str = ""
    q: bool = False
    nocache: bool = False
    cachefrom: str = ""
    pull: bool = False
    memory: int = 0
    memswap: int = 0
    cpushares: int = 0
    cpusetcpus: str = ""
    cpusetmems: str = ""
    cpuperiod: int = 0
    cpuquota: int = 0
    buildargs: str = ""
    shmsize: int = 0
    squash: bool = False
    labels: str = ""
    networkmode: str = ""
    platform: str = ""
    target: str = ""
    outputs: str = ""
    version: str = "1"
    cgroupparent: str = ""
    ulimits: str = ""
    buildid: str = ""
    session: str = ""
    isolation: str = ""
    securityopt: str = ""


class _Ulimit(Struct, frozen=True, kw_only=True, rename="pascal"):
    name: str = ""
    soft: int = 0
    hard: int = 0


class _Output(Struct, frozen=True, kw_only=True, rename="pascal"):
    type: str = ""
    attrs: dict[str, str] = field(default_factory=dict)


def options(query: BuildQuery, host: Platform) -> wanted.BuildOptions:
    """Return what the query asks for.

    Raises: InvalidParameter, NotImplemented_ (version 2).
    """
    if query.version == "2":
        raise NotImplemented_(
            "BuildKit by way of POST /build is not built",
            hint="install the client's buildx plugin, or set DOCKER_BUILDKIT=0",
        )
    if query.version not in {"", "1"}:
        raise InvalidParameter(f'invalid version "{query.version}"')
    if query.isolation not in {"", "default"}:
        raise InvalidParameter(f'unsupported isolation: "{query.isolation}"')
    if _json(query.securityopt, list[str]):
        raise InvalidParameter("security options are not supported on linux")
    for name in query.t:
        if reference.parse_normalized(name).digest is not None:
            raise InvalidParameter("build tag cannot contain a digest")
    ulimits = _json(query.ulimits, list[_Ulimit])
    return wanted.BuildOptions(
        dockerfile=query.dockerfile.lstrip("/") or "Dockerfile",
        tags=tuple(name for name in query.t if name),
        build_args=_json(query.buildargs, dict[str, str | None]),
        labels=_json(query.labels, dict[str, str]),
        target=query.target,
        platforms=(platforms.parse(query.platform, default=host),) if query.platform else (),
        no_cache=query.nocache,
        pull=query.pull,
        cache_from=tuple(
            wanted.CacheOption(type="registry", attributes={"ref": name})
            for name in _json(query.cachefrom, list[str])
        ),
        network=query.networkmode or "default",
        extra_hosts=tuple(host for entry in query.extrahosts for host in _hosts(entry)),
        limits=graph.Limits(
            memory_bytes=query.memory,
            memory_swap_bytes=query.memswap,
            cpu_shares=query.cpushares,
            cpu_period_us=query.cpuperiod,
            cpu_quota_us=query.cpuquota,
            cpuset_cpus=query.cpusetcpus,
            cpuset_mems=query.cpusetmems,
            shm_bytes=query.shmsize,
            cgroup_parent=query.cgroupparent,
            ulimits=tuple(graph.Ulimit(u.name, u.soft, u.hard) for u in ulimits),
        ),
        squash=query.squash,
        outputs=tuple(
            wanted.Output(
                type=o.attrs.get("type", "image") if o.type == "moby" else o.type,
                attributes=o.attrs,
            )
            for o in _json(query.outputs, list[_Output])
        ),
        quiet=query.q,
        remote=query.remote if query.remote != "client-session" else "",
    )


def _json(text: str, kind: type[_Collection]) -> _Collection:
    """Decode a parameter; old clients say null for what is empty."""
    return kind() if text in {"", "null"} else gojson.decode(text, kind)


def _hosts(entry: str) -> list[str]:
    """Return one host a piece: old clients send a JSON list."""
    return gojson.decode(entry, list[str]) if entry.startswith("[") else [entry]
