"""``--change`` of commit and import: Dockerfile instructions that touch the configuration alone.

Not a Dockerfile: one instruction each, no variables, no stages (pure).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import structs

from moorage.lib import signalnames, units
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.health import HealthConfig
from moorage.spec.oci.image import ContainerConfig

_SHELL: Final = ["/bin/sh", "-c"]
_WORD: Final = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_ESCAPED: Final = re.compile(r"\\(.)")
_PORT: Final = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?\Z")


def apply(config: ContainerConfig, changes: Iterable[str]) -> ContainerConfig:
    """Return *config* with every change applied, in order.

    Raises: InvalidParameter, in Docker's words.
    """
    for change in changes:
        keyword, _, rest = change.strip().partition(" ")
        if not keyword or keyword.startswith("#"):
            raise InvalidParameter("file with no instructions", hint=f"--change {change!r}")
        handler = _HANDLERS.get(keyword.upper())
        if handler is None:
            raise InvalidParameter(f"{keyword} is not a valid change command")
        rest = rest.strip()
        if not rest:
            raise InvalidParameter(f"{keyword.upper()} requires at least one argument")
        config = handler(config, rest)
    return config


def _json_list(text: str) -> list[str] | None:
    """Return the words of ``["a", "b"]``, None for another form."""
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        return None


def _words(text: str) -> list[str]:
    return [_unquote(word) for word in _WORD.findall(text)]


def _unquote(word: str) -> str:
    """Take away quotes and backslashes as a shell would."""
    parts = re.findall(r"""\\.|"(?:[^"\\]|\\.)*"|'[^']*'|[^"'\\]+""", word)
    plain = []
    for part in parts:
        if part.startswith("'"):
            plain.append(part[1:-1])
        else:
            plain.append(_ESCAPED.sub(r"\1", part[1:-1] if part.startswith('"') else part))
    return "".join(plain)


def _pairs(keyword: str, text: str) -> list[tuple[str, str]]:
    """Return the pairs of ``k=v k2="v 2"``, or of the old ``k v v v``."""
    words = _words(text)
    if not words:  # nothing but an open quote
        raise InvalidParameter(f'Syntax error - can\'t find = in "{text}"')
    if "=" not in words[0]:
        key, _, value = text.partition(" ")
        if not value.strip():
            raise InvalidParameter(f"{keyword} must have two arguments")
        return [(key, value.strip())]
    pairs = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidParameter(f'Syntax error - can\'t find = in "{word}"')
        pairs.append((key, value))
    return pairs


def _command(config: ContainerConfig, text: str) -> list[str]:
    exact = _json_list(text)
    return exact if exact is not None else [*(config.shell or _SHELL), text]


def _cmd(config: ContainerConfig, text: str) -> ContainerConfig:
    return structs.replace(config, cmd=_command(config, text))


def _entrypoint(config: ContainerConfig, text: str) -> ContainerConfig:
    return structs.replace(config, entrypoint=_command(config, text))


def _env(config: ContainerConfig, text: str) -> ContainerConfig:
    env = list(config.env or [])
    for key, value in _pairs("ENV", text):
        env = [e for e in env if e.partition("=")[0] != key]
        env.append(f"{key}={value}")
    return structs.replace(config, env=env)


def _label(config: ContainerConfig, text: str) -> ContainerConfig:
    return structs.replace(config, labels={**(config.labels or {}), **dict(_pairs("LABEL", text))})


def _expose(config: ContainerConfig, text: str) -> ContainerConfig:
    ports = dict(config.exposed_ports or {})
    for word in text.split():
        found = _PORT.match(word)
        if not found:
            raise InvalidParameter(f"Invalid containerPort: {word}")
        first, last = int(found[1]), int(found[2] or found[1])
        if not 0 < first <= last <= 65535:
            raise InvalidParameter(f"Invalid containerPort: {word}")
        ports |= {f"{n}/{found[3] or 'tcp'}": {} for n in range(first, last + 1)}
    return structs.replace(config, exposed_ports=ports)


def _volume(config: ContainerConfig, text: str) -> ContainerConfig:
    paths: Sequence[str] = _json_list(text) or _words(text)
    if not all(paths):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    return structs.replace(
        config, volumes={**(config.volumes or {}), **{path: {} for path in paths}}
    )


def _user(config: ContainerConfig, text: str) -> ContainerConfig:
    if len(text.split()) != 1:
        raise InvalidParameter("USER requires exactly one argument")
    return structs.replace(config, user=text)


def _workdir(config: ContainerConfig, text: str) -> ContainerConfig:
    path = posixpath.normpath(posixpath.join(config.working_dir or "/", _unquote(text)))
    return structs.replace(config, working_dir=path)


def _on_build(config: ContainerConfig, text: str) -> ContainerConfig:
    trigger = text.partition(" ")[0].upper()
    if trigger == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in {"FROM", "MAINTAINER"}:
        raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
    return structs.replace(config, on_build=[*(config.on_build or []), text])


def _stop_signal(config: ContainerConfig, text: str) -> ContainerConfig:
    signalnames.parse(text)
    return structs.replace(config, stop_signal=text)


def _healthcheck(config: ContainerConfig, text: str) -> ContainerConfig:
    options: dict[str, int | list[str]] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option.removeprefix("--").partition("=")
        text = text.strip()
        try:
            number = int(value) if name == "retries" else units.parse_duration(value)
        except ValueError as error:
            raise InvalidParameter(f"HEALTHCHECK: bad value of --{name}: {value}") from error
        if name not in _HEALTH_OPTIONS:
            raise InvalidParameter(f"Unknown flag: {name}")
        options[_HEALTH_OPTIONS[name]] = number
    kind, _, rest = text.partition(" ")
    if kind.upper() == "NONE":
        return structs.replace(config, healthcheck=HealthConfig(test=["NONE"]))
    if kind.upper() != "CMD" or not rest.strip():
        raise InvalidParameter(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    exact = _json_list(rest.strip())
    test = ["CMD", *exact] if exact is not None else ["CMD-SHELL", rest.strip()]
    health = msgspec.convert({"Test": test, **options}, HealthConfig)
    return structs.replace(config, healthcheck=health)


_HEALTH_OPTIONS: Final = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
    "retries": "Retries",
}


_HANDLERS: Final[dict[str, Callable[[ContainerConfig, str], ContainerConfig]]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
