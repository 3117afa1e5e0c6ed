"""``moor version``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import INSPECT_FORMAT_HELP, Command, Option
from moorage.cli.tree import VERSION
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

LABEL_WIDTH = 19
_DETAILS = (
    ("Version", "Version"),
    ("API version", "ApiVersion"),
    ("Go version", "GoVersion"),
    ("Python version", "PythonVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
)


def run(session: Session, values: Values, _: list[str]) -> int:
    """Show both versions; the client's even if the daemon does not answer."""
    server: Json | None = None
    failure: MoorageError | None = None
    try:
        server = session.api.get("/version")
    except MoorageError as e:
        failure = e
    client = _client(session, reached=server is not None)
    if format_ := values.text("format"):
        from moorage.cli.format.templated import render_one

        if server is not None and format_ != "json":
            server.setdefault("Experimental", False)  # left out of the JSON if it is not so
        try:
            session.out.write(render_one({"Client": client, "Server": server}, format_))
        except CommandError:
            if failure is None:
                raise
            session.out.line()  # it names what only the daemon knows, who says below why not
    else:
        _show(session, client, server)
    if failure is not None:
        session.out.flush()
        session.err.line(str(failure))
        return 1
    return 0


def _client(session: Session, *, reached: bool) -> Json:
    from moorage.cli.resolve import context_name
    from moorage.client.api import NEWEST

    uname = _uname()
    return {
        "Version": VERSION,
        "ApiVersion": session.api.version if reached else NEWEST,
        "DefaultAPIVersion": NEWEST,
        "GitCommit": "",
        "GoVersion": "",
        "PythonVersion": _python(),
        "Os": "linux",
        "Arch": uname,
        "BuildTime": "",
        "Context": context_name(session),
    }


def _python() -> str:
    import sys

    return ".".join(str(part) for part in sys.version_info[:3])


def _uname() -> str:
    import posix

    machine = posix.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _show(session: Session, client: Json, server: Json | None) -> None:

    from moorage.client.api import NEWEST

    api = client["ApiVersion"]
    if api != NEWEST:
        api += f" (downgraded from {NEWEST})"
    lines = ["Client:"]
    rows = (
        ("Version", client["Version"]),
        ("API version", api),
        ("Python version", client["PythonVersion"]),
        ("OS/Arch", f"{client['Os']}/{client['Arch']}"),
        ("Context", client["Context"]),
    )
    lines += [f" {label + ':':{LABEL_WIDTH - 1}} {value}" for label, value in rows]
    if server is not None:
        lines += ["", f"Server:{' ' + name if (name := _platform(server)) else ''}"]
        for component in _components(server):
            lines.append(f" {component['Name']}:")
            lines += _component_lines(component)
    session.out.write("\n".join(lines) + "\n")


def _platform(server: Json) -> str:
    return str((server.get("Platform") or {}).get("Name") or "")


def _components(server: Json) -> list[Json]:
    if server.get("Components"):
        return list(server["Components"])
    details = {key: str(value) for key, value in server.items() if isinstance(value, str | bool)}
    return [{"Name": "Engine", "Version": server.get("Version", ""), "Details": details}]


def _component_lines(component: Json) -> list[str]:
    details = component.get("Details") or {}
    if component["Name"] != "Engine":
        own = [("Version", component["Version"]), *sorted(details.items())]
        return [f"  {key + ':':{LABEL_WIDTH - 2}} {value}" for key, value in own]
    rows: list[tuple[str, str]] = []
    for label, key in _DETAILS:
        value = component["Version"] if key == "Version" else details.get(key)
        if value is None:
            continue
        if key == "ApiVersion" and details.get("MinAPIVersion"):
            value = f"{value} (minimum version {details['MinAPIVersion']})"
        if key == "BuildTime" and value:
            value = _built(str(value))
        rows.append((label, str(value)))
    if "Os" in details:
        rows.append(("OS/Arch", f"{details['Os']}/{details.get('Arch', '')}"))
    if "Experimental" in details:
        rows.append(("Experimental", str(details["Experimental"]).lower()))
    return [f"  {label + ':':{LABEL_WIDTH - 2}} {value}" for label, value in rows]


def _built(text: str) -> str:
    """Return a build time as ``date`` prints it."""
    import time

    from moorage.lib.clock import parse_rfc3339

    try:
        seconds = parse_rfc3339(text) // 1_000_000_000
    except ValueError:
        return text
    broken = time.gmtime(seconds)
    return (
        time.strftime("%a %b ", broken)
        + f"{broken.tm_mday:2d}"
        + time.strftime(" %H:%M:%S %Y", broken)
    )


COMMAND = Command(run, options=(Option("format", "f", "string", INSPECT_FORMAT_HELP),))
