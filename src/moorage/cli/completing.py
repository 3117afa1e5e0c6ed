"""Where completion's candidates come from."""

from __future__ import annotations

from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from moorage.cli.session import Session

    Candidates = dict[str, str]

SIGNALS = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM CHLD CONT STOP TSTP "
    "TTIN TTOU WINCH"
)
CAPABILITIES = (
    "ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN "
    "DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE "
    "MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP "
    "SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT "
    "SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
)
FILTERS: dict[str, str] = {
    "ps": "ancestor before exited expose health id isolation is-task label name network publish "
    "since status volume",
    "images": "before dangling label reference since until",
    "network": "dangling driver id label name scope type",
    "volume": "dangling driver label name",
    "events": "container daemon event image label network plugin scope type volume",
    "search": "is-automated is-official stars",
}
FILTER_VALUES: dict[str, str] = {
    "dangling": "true false",
    "health": "healthy none starting unhealthy",
    "is-automated": "true false",
    "is-official": "true false",
    "is-task": "true false",
    "scope": "global local swarm",
    "status": "created dead exited paused removing restarting running",
    "type": "builtin custom",
}
_FILTER_SOURCES = {
    "ancestor": "images",
    "before": "containers",
    "container": "containers",
    "image": "images",
    "network": "networks",
    "since": "containers",
    "volume": "volumes",
}


def _get(session: Session, path: str, **query: object) -> Any:
    try:
        return session.api.get(path, **query)
    except MoorageError:
        return []


def _containers(session: Session, filters: str | None = None) -> Candidates:
    found = _get(session, "/containers/json", all=True, filters=filters)
    return {
        container["Names"][0].removeprefix("/"): f"{container['Image']}, {container['Status']}"
        for container in found
        if container.get("Names")
    }


def _images(session: Session) -> Candidates:
    names = [name for image in _get(session, "/images/json") for name in image["RepoTags"] or ()]
    return {name.removesuffix(":latest"): "" for name in names if not name.startswith("<none>")}


def _networks(session: Session) -> Candidates:
    return {network["Name"]: network["Driver"] for network in _get(session, "/networks")}


def _volumes(session: Session) -> Candidates:
    answer = _get(session, "/volumes") or {}
    return {volume["Name"]: volume["Driver"] for volume in answer.get("Volumes") or ()}


def _plugins(session: Session) -> Candidates:
    return {plugin["Name"]: "" for plugin in _get(session, "/plugins")}


def _contexts(session: Session) -> Candidates:
    from moorage.client.contexts import DEFAULT, ContextStore

    found = {c.name: c.description for c in ContextStore(session.config_directory).list()}
    return {DEFAULT: "", **found}


def _objects(session: Session) -> Candidates:
    return {**_volumes(session), **_networks(session), **_images(session), **_containers(session)}


SOURCES: dict[str, Callable[[Session], Candidates]] = {
    "capabilities": lambda _: dict.fromkeys(CAPABILITIES.split(), ""),
    "containers": _containers,
    "contexts": _contexts,
    "images": _images,
    "networks": _networks,
    "objects": _objects,
    "paused": lambda session: _containers(session, '{"status":{"paused":true}}'),
    "plugins": _plugins,
    "running": lambda session: _containers(session, '{"status":{"running":true}}'),
    "signals": lambda _: dict.fromkeys(SIGNALS.split(), ""),
    "volumes": _volumes,
}


def filter_values(session: Session, command: str, current: str) -> Candidates:
    """Return ``key=`` candidates, or ``key=value`` once the key is there."""
    key, equals, _ = current.partition("=")
    if not equals:
        return {f"{name}=": "" for name in FILTERS[command].split()}
    if key in FILTER_VALUES:
        values = FILTER_VALUES[key].split()
    elif key in _FILTER_SOURCES:
        values = list(SOURCES[_FILTER_SOURCES[key]](session))
    else:
        values = []
    return {f"{key}={value}": "" for value in values}
