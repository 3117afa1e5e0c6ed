"""A build by a daemon that has no sessions: the whole context as a tar, Docker's classic API."""

from __future__ import annotations

import posix

from moorage.cli.building import context
from moorage.cli.copying import tarheader
from moorage.cli.failure import CommandError
from moorage.client import jsonwire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from moorage.cli.commands.image.build import Source
    from moorage.cli.session import Session

_UNKNOWN = (
    *("Attestations", "CacheTo", "Contexts", "NoCacheFilter", "Allow"),
    *("Check", "Debug"),
)


def build(session: Session, body: dict[str, Any], source: Source, *, quiet: bool) -> int:
    """Build, and pass the stream on.

    Raises: CommandError (an option that the classic API lacks).
    """
    refused = [name for name in _UNKNOWN if body.get(name)]
    if refused:
        raise CommandError(f"this daemon's builder does not know: {', '.join(refused)}")
    name = source.name if not source.name.startswith(("/", "..")) else ".dockerfile"
    query = {
        "dockerfile": name,
        "t": body["Tags"],
        "remote": source.remote or None,
        "nocache": body["NoCache"] or None,
        "pull": body["Pull"] or None,
        "q": quiet or None,
        "buildargs": jsonwire.encode(body["BuildArgs"]),
        "labels": jsonwire.encode(body["Labels"]),
        "cachefrom": jsonwire.encode([c["Attrs"].get("ref", "") for c in body["CacheFrom"]]),
        "target": body["Target"] or None,
        "networkmode": body["Network"],
        "extrahosts": body["ExtraHosts"],
        "platform": ",".join(body["Platforms"]) or None,
        "memory": body["Memory"] or None,
        "memswap": body["MemorySwap"] or None,
        "cpushares": body["CpuShares"] or None,
        "cpuperiod": body["CpuPeriod"] or None,
        "cpuquota": body["CpuQuota"] or None,
        "cpusetcpus": body["CpusetCpus"] or None,
        "cpusetmems": body["CpusetMems"] or None,
        "shmsize": body["ShmSize"] or None,
        "squash": body["Squash"] or None,
        "cgroupparent": body["CgroupParent"] or None,
        "ulimits": jsonwire.encode(body["Ulimits"]) if body["Ulimits"] else None,
    }
    headers = {"Content-Type": "application/x-tar"}
    chunks = _archive(source, name)
    response = session.api.request("POST", "/build", query, body=chunks, headers=headers)
    for line in session.api.stream_json(response):
        if "error" in line:
            raise CommandError(str(line["error"]), int(line.get("errorDetail", {}).get("code", 1)))
        session.out.write(line.get("stream", ""))
        session.out.flush()
    return 0


def _archive(source: Source, name: str) -> Iterator[bytes]:
    """Yield the context with its Dockerfile as one tar."""
    if source.archive:
        yield source.head
        while chunk := posix.read(0, 1 << 16):
            yield chunk
        return
    if source.dockerfile is not None:
        member = tarheader.Member(name.encode(), tarheader.REGULAR, 0o644)
        member.size = len(source.dockerfile)
        yield member.header() + source.dockerfile + tarheader.padding(member.size)
    if not source.root:
        yield tarheader.END
        return
    matcher = context.ignore_rules(source.root, source.path)
    tree = context.Tree(source.root, matcher)
    yield from tree.pack(fact[0] for fact in tree.facts if fact[0] != name)
