"""The flags of ``moor build`` as the options of a build."""

from __future__ import annotations

from moorage.cli import kinds
from moorage.cli.options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from moorage.cli.options import Values

_PROXIES = (
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("allProxy", "ALL_PROXY"),
)


def body(
    values: Values, environ: Mapping[str, str], proxies: Mapping[str, str], contexts: dict[str, str]
) -> dict[str, Any]:
    """Return the body of ``BuildSessionBuild``, without what the files decide.

    Raises: UsageError.
    """
    arguments = {proxy: proxies[key] for key, proxy in _PROXIES if proxies.get(key)}
    arguments |= {proxy.lower(): proxies[key] for key, proxy in _PROXIES if proxies.get(key)}
    given: dict[str, str | None] = dict(arguments)
    for text in values.many("build-arg"):
        name, equals, value = text.partition("=")
        given[name] = value if equals else environ.get(name)
    if "SOURCE_DATE_EPOCH" in environ:
        given.setdefault("SOURCE_DATE_EPOCH", environ["SOURCE_DATE_EPOCH"])
    shortcuts = [("provenance", values.text("provenance")), ("sbom", values.text("sbom"))]
    attestations = [typed(text, "attest") for text in values.many("attest")]
    for kind, text in shortcuts:
        if text and text.lower() not in ("false", "0"):
            attrs = {} if text.lower() in ("true", "1") else _fields(text, kind)
            attestations.append({"Type": kind, "Attrs": attrs})
    return {
        "Tags": values.many("tag"),
        "BuildArgs": given,
        "Labels": dict(_pair(text) for text in values.many("label")),
        "Target": values.text("target"),
        "Platforms": values.many("platform"),
        "NoCache": values.flag("no-cache"),
        "NoCacheFilter": values.many("no-cache-filter"),
        "Pull": values.flag("pull"),
        "CacheFrom": [_cache(text) for text in values.many("cache-from")],
        "CacheTo": [_cache(text) for text in values.many("cache-to")],
        "Attestations": attestations,
        "Network": values.text("network") or "default",
        "ExtraHosts": values.many("add-host"),
        "Contexts": contexts,
        "Allow": values.many("allow"),
        "Squash": values.flag("squash"),
        "Check": values.flag("check"),
        "Debug": values.flag("debug"),
        "Memory": values.number("memory"),
        "MemorySwap": values.number("memory-swap"),
        "CpuShares": values.number("cpu-shares"),
        "CpuPeriod": values.number("cpu-period"),
        "CpuQuota": values.number("cpu-quota"),
        "CpusetCpus": values.text("cpuset-cpus"),
        "CpusetMems": values.text("cpuset-mems"),
        "ShmSize": values.number("shm-size"),
        "CgroupParent": values.text("cgroup-parent"),
        "Ulimits": values.many("ulimit"),
    }


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _fields(text: str, flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in kinds.split_csv(text):
        name, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f'invalid value "{text}" for --{flag}: {part} must be key=value')
        found[name.strip().lower()] = value
    return found


def typed(text: str, flag: str) -> dict[str, Any]:
    """Read ``type=…,key=value``. Raises: UsageError."""
    found = _fields(text, flag)
    kind = found.pop("type", "")
    if not kind:
        raise UsageError(f'invalid value "{text}" for --{flag}: type is required')
    return {"Type": kind, "Attrs": found}


def _cache(text: str) -> dict[str, Any]:
    if "=" not in text:
        return {"Type": "registry", "Attrs": {"ref": text}}
    return typed(text, "cache")


def outputs(values: Values) -> list[dict[str, Any]]:
    """Return ``--output``, ``--push`` and ``--load``; a bare path is a directory.

    Raises: UsageError.
    """
    found: list[dict[str, Any]] = []
    for text in values.many("output"):
        if text == "-":
            found.append({"Type": "tar", "Attrs": {"dest": "-"}})
        elif "=" not in text:
            found.append({"Type": "local", "Attrs": {"dest": text}})
        else:
            found.append(typed(text, "output"))
    if values.flag("push"):
        found.append({"Type": "image", "Attrs": {"push": "true"}})
    elif values.flag("load") and not any(item["Type"] == "image" for item in found):
        found.append({"Type": "image", "Attrs": {}})
    for item in found:
        kind, attrs = item["Type"], item["Attrs"]
        if kind == "local" and not attrs.get("dest"):
            raise UsageError("dest is required for local output")
    return found


def secrets(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    """Read ``--secret id=…[,src=FILE|,env=NAME]``.

    Raises: UsageError (a file or variable is missing).
    """
    found: dict[str, bytes] = {}
    for text in texts:
        fields = _fields(text, "secret")
        kind = fields.get("type", "")
        source = fields.get("src") or fields.get("source") or ""
        name = fields.get("id") or source
        variable = fields.get("env") or (source if kind == "env" else "")
        if not name:
            raise UsageError(f'invalid value "{text}" for --secret: id is required')
        if not variable and not source and name in environ:
            variable = name
        if variable:
            if variable not in environ:
                raise UsageError(f"secret {name}: the variable {variable} is not set")
            found[name] = environ[variable].encode("utf-8", "surrogateescape")
            continue
        try:
            with open(source or name, "rb") as file:
                found[name] = file.read()
        except OSError as error:
            raise UsageError(f"secret {name}: cannot read {source or name}: {error}") from error
    return found
