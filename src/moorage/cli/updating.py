"""``moor update`` of ports, environment and mounts: from what there is to what shall be.

The API takes whole lists, so that what is sent says what will be.
"""

from __future__ import annotations

import os

from moorage.cli.failure import CommandError
from moorage.cli.specs import environment, mounts, ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.client.jsonwire import Json


def changes(shown: Json, values: Values) -> Json:
    """Return the fields of the body that the flags ask for.

    Raises: CommandError.
    """
    host, pending = shown["HostConfig"], shown.get("PendingUpdate") or {}
    body: Json = {}
    try:
        if values.changed("publish") or values.changed("publish-rm"):
            body["PortBindings"] = _ports(host.get("PortBindings") or {}, values)
        if values.changed("env") or values.changed("env-rm"):
            known = pending.get("Env", shown["Config"].get("Env")) or []
            body["Env"] = _environment(known, values)
        if any(values.changed(flag) for flag in ("mount", "volume", "mount-rm")):
            binds = pending.get("Binds", host.get("Binds")) or []
            made = pending.get("Mounts", host.get("Mounts")) or []
            body["Binds"], body["Mounts"] = _mounts(binds, made, values)
    except ValueError as error:
        raise CommandError(str(error)) from error
    return body


def _ports(known: Json, values: Values) -> Json:
    wanted = {port: list(bindings or ()) for port, bindings in known.items()}
    for spec in values.many("publish-rm"):
        unwanted: ports.Bindings = {}
        ports.publish(spec, unwanted)
        for port, patterns in unwanted.items():
            there = wanted.get(port, [])
            left = [b for b in there if not any(_is_meant(b, pattern) for pattern in patterns)]
            if port not in wanted or (there and len(left) == len(there)):
                raise CommandError(f"no such port is published: {spec}")
            wanted[port] = left
    new: ports.Bindings = {}
    for spec in values.many("publish"):
        ports.publish(spec, new)
    for port, bindings in new.items():
        there = wanted.setdefault(port, [])
        there.extend(b for b in bindings if b not in there)
    return {port: bindings for port, bindings in wanted.items() if bindings}


def _is_meant(binding: Json, pattern: dict[str, str]) -> bool:
    """Tell whether a binding has all that the pattern says."""
    return all(not text or binding.get(key) == text for key, text in pattern.items())


def _environment(known: list[str], values: Values) -> list[str]:
    table = {entry.partition("=")[0]: entry for entry in known}
    for name in values.many("env-rm"):
        table.pop(name, None)
    for spec in values.many("env"):
        entry = environment.variable(environment.check_variable(spec), os.environ)
        name, equals, _ = entry.partition("=")
        if equals:
            table[name] = entry
        else:  # this shell has no such variable
            table.pop(name, None)
    return list(table.values())


def _mounts(binds: list[str], made: list[Json], values: Values) -> tuple[list[str], list[Json]]:
    for path in values.many("mount-rm"):
        left = _without(binds, made, path)
        if len(left[0]) + len(left[1]) == len(binds) + len(made):
            raise CommandError(f"no mount that could be taken away: {path}")
        binds, made = left
    new = [mounts.mount(spec) for spec in values.many("mount")]
    for spec in values.many("volume"):
        bind, anonymous = mounts.volume(spec)
        if anonymous:
            new.append({"Type": "volume", "Target": anonymous})
            continue
        binds, made = _without(binds, made, _target(bind))
        binds = [*binds, bind]
    for mount in new:
        binds, made = _without(binds, made, mount["Target"])
        made = [*made, mount]
    return binds, made


def _without(binds: list[str], made: list[Json], path: str) -> tuple[list[str], list[Json]]:
    place = path.rstrip("/")
    return (
        [bind for bind in binds if _target(bind).rstrip("/") != place],
        [mount for mount in made if mount["Target"].rstrip("/") != place],
    )


def _target(bind: str) -> str:
    return bind.split(":")[1]
