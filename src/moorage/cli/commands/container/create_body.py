"""From the flags of ``create`` and ``run`` to the body of ContainerCreate."""

from __future__ import annotations

from moorage.cli.commands.container import create_host
from moorage.cli.failure import CommandError
from moorage.cli.specs import environment, ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

ZERO_SIZE = [0, 0]


class Request:
    """A container to be made: the body, and the networks an old daemon needs joined one by one."""

    def __init__(self, body: Json, later_networks: list[tuple[str, Json]]) -> None:
        self.body = body
        self.later_networks = later_networks


def build(session: Session, values: Values, arguments: list[str], *, detach: bool) -> Request:
    """Translate flags; *arguments* are the image and its command.

    Raises: CommandError.
    """
    try:
        return _build(session, values, arguments, detach=detach)
    except ValueError as e:
        raise CommandError(str(e)) from e


def _build(session: Session, values: Values, arguments: list[str], *, detach: bool) -> Request:
    image, *command = arguments
    attach = set(values.many("attach"))
    if not attach and not detach:
        attach = {"stdout", "stderr"} | ({"stdin"} if values.flag("interactive") else set())
    bindings: ports.Bindings = {}
    for spec in values.many("publish"):
        ports.publish(spec, bindings)
    exposed: Json = {key: {} for key in bindings}
    for spec in values.many("expose"):
        exposed |= {key: {} for key in ports.expose(spec)}
    binds, anonymous = create_host.volumes(values)
    body: Json = {
        "Hostname": values.text("hostname"),
        "Domainname": values.text("domainname"),
        "User": values.text("user"),
        "AttachStdin": "stdin" in attach,
        "AttachStdout": "stdout" in attach,
        "AttachStderr": "stderr" in attach,
        "ExposedPorts": exposed,
        "Tty": values.flag("tty"),
        "OpenStdin": values.flag("interactive"),
        "StdinOnce": values.flag("interactive") and "stdin" in attach,
        "Env": _environment(session, values),
        "Cmd": command or None,
        "Image": image,
        "Volumes": {path: {} for path in anonymous},
        "WorkingDir": values.text("workdir"),
        "Entrypoint": _entrypoint(values),
        "Labels": environment.labels(values.many("label-file"), values.many("label")),
    }
    if values.text("stop-signal"):
        body["StopSignal"] = values.text("stop-signal")
    if values.changed("stop-timeout"):
        body["StopTimeout"] = values.number("stop-timeout")
    if (health := _health(values)) is not None:
        body["Healthcheck"] = health
    body["HostConfig"] = create_host.host_config(session, values, bindings, binds)
    body["HostConfig"]["ConsoleSize"] = _console_size(session)
    later = create_host.networking(session, values, body)
    return Request(body, later)


def _environment(session: Session, values: Values) -> list[str]:
    found: list[str] = []
    for path in values.many("env-file"):
        found += environment.file_lines(path, session.environ)
    found += [environment.variable(spec, session.environ) for spec in values.many("env")]
    if "proxies" in session.config.values:
        given = {entry.partition("=")[0] for entry in found}
        proxies = proxy_variables(session.config.table("proxies"), session.endpoint.host)
        found += [f"{name}={value}" for name, value in proxies.items() if name not in given]
    return found


def proxy_variables(proxies: Json, host: str) -> dict[str, str]:
    """Return the variables that ``proxies`` in config.json gives containers of a daemon."""
    chosen = proxies.get(host) or proxies.get("default") or {}
    names = {
        "httpProxy": "HTTP_PROXY",
        "httpsProxy": "HTTPS_PROXY",
        "noProxy": "NO_PROXY",
        "ftpProxy": "FTP_PROXY",
        "allProxy": "ALL_PROXY",
    }
    table: dict[str, str] = {}
    for key, name in names.items():
        if value := chosen.get(key):
            table[name] = table[name.lower()] = str(value)
    return table


def _entrypoint(values: Values) -> list[str] | None:
    if not values.changed("entrypoint"):
        return None
    return [values.text("entrypoint")]  # an empty one takes the image's away


def _health(values: Values) -> Json | None:
    durations = {
        "Interval": "health-interval",
        "Timeout": "health-timeout",
        "StartPeriod": "health-start-period",
        "StartInterval": "health-start-interval",
    }
    names = ("health-cmd", "health-retries", *durations.values())
    asked = any(values.changed(name) for name in names)
    if values.flag("no-healthcheck"):
        if asked:
            raise CommandError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not asked:
        return None
    for name in durations.values():
        if values.number(name) < 0:
            raise CommandError(f"--{name} cannot be negative")
    if values.number("health-retries") < 0:
        raise CommandError("--health-retries cannot be negative")
    health: Json = {
        key: values.number(name) for key, name in durations.items() if values.changed(name)
    }
    if values.text("health-cmd"):
        health["Test"] = ["CMD-SHELL", values.text("health-cmd")]
    if values.changed("health-retries"):
        health["Retries"] = values.number("health-retries")
    return health


def _console_size(session: Session) -> list[int]:
    if not session.out.is_terminal:
        return ZERO_SIZE
    from moorage.cli import terminal

    size = terminal.size(1)
    return list(size) if size else ZERO_SIZE
