"""``moor build``."""

from __future__ import annotations

import posix

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option, UsageError, WrongCount, parse
from moorage.cli.refusals import NO_TRUST, refuse_trust
from moorage.client import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from moorage.cli.building.agent import Agent
    from moorage.cli.building.view import View
    from moorage.cli.options import Values
    from moorage.cli.session import Session

_REMOTE = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Build an image."""
    where = arguments[0] if arguments else ""
    if where == "history" and not files.is_directory(where):
        from moorage.cli.commands.builder import history

        for option in COMMAND.options:
            if option.name != "quiet" and values.changed(option.name):
                raise UsageError(f"--{option.name} is for a build, not for its history")
        return history.show(session, arguments[1:], quiet=values.flag("quiet"))
    if len(arguments) != 1:
        raise WrongCount("requires 1 argument")
    _refuse(session, values)
    from moorage.cli import authorising
    from moorage.cli.building import request, view
    from moorage.lib.errors import NotFound

    quiet = values.flag("quiet")
    shown = view.choose(values.text("progress"), session.err, quiet=quiet)
    source = Source(where, values.text("file"))
    proxies = session.config.table("proxies").get("default") or {}
    contexts, local = _named_contexts(values.many("build-context"))
    body = request.body(values, session.environ, proxies, contexts)
    body |= {"Dockerfile": source.name, "Remote": source.remote}
    body["Outputs"] = request.outputs(values)
    secrets = request.secrets(values.many("secret"), session.environ)
    auth = authorising.everything(session)
    from moorage.cli.building.session import BuildSession

    try:
        opened = BuildSession(session.api, secrets, source.dockerfile, auth)
    except NotFound as error:
        if "page not found" not in str(error):
            raise
        from moorage.cli.building import classic

        return classic.build(session, body, source, quiet=quiet)
    with opened as build:
        agents = _agents(session, build.id, values.many("ssh"))
        try:
            _send(build, source, local, body["CacheFrom"], shown)
            ending = _follow(build, body, shown)
        finally:
            for agent in agents:
                agent.close()
        if ending.get("type") == "failure":
            shown.close()
            shown.failure(ending)
            session.err.line(f"ERROR: {_sentence(ending)}")
            session.err.flush()
            return _debug(session, ending, values)
        _fetch(build, body, ending)
    shown.close()
    return _report(session, values, shown, ending)


def _refuse(session: Session, values: Values) -> None:
    """Refuse what no build on Linux does, in dockerd's words."""
    refuse_trust(session, values)
    if values.many("security-opt"):
        raise CommandError(
            "The daemon on this platform does not support setting security options on build"
        )
    if values.text("isolation") not in {"", "default"}:
        raise CommandError(f'Unsupported isolation: "{values.text("isolation")}"')


def _fetch(build: Any, body: dict[str, Any], ending: dict[str, Any]) -> None:
    """Fetch what is no image: files, archives, caches."""
    for item in body["Outputs"]:
        if item["Type"] in ending.get("outputs", ()):
            build.fetch(item["Type"], item["Attrs"].get("dest") or "-")
    for number, item in enumerate(body["CacheTo"]):
        if item["Type"] == "local":
            build.fetch_directory(f"cache-to:{number}", item["Attrs"].get("dest", ""))


class Source:
    """The context and the Dockerfile as given on the command line."""

    def __init__(self, where: str, file: str) -> None:
        self.where = where
        self.remote = ""
        self.root = ""
        self.name = file or "Dockerfile"
        self.dockerfile: bytes | None = None
        self.archive = False
        if where.startswith(_REMOTE):
            self.remote = where
        elif where == "-":
            self._from_stdin(file)
        elif files.is_directory(where):
            self.root = where
            self._read(file)
        else:
            raise CommandError(f'unable to prepare context: path "{where}" not found')

    def _from_stdin(self, file: str) -> None:
        head = posix.read(0, 512)
        known = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
        self.archive = head.startswith(known) or head[257:262] == b"ustar"
        if self.archive:
            self.head = head
            return
        if file and file != "-":
            raise CommandError("the context is not an archive, and a Dockerfile was given too")
        self.dockerfile = head + _rest_of_stdin()

    def _read(self, file: str) -> None:
        if file == "-":
            self.name, self.dockerfile = "Dockerfile", _rest_of_stdin()
            return
        path = file or f"{self.root}/Dockerfile"
        if not file and not files.exists(path):
            lower = f"{self.root}/dockerfile"
            path = lower if files.exists(lower) else path
        if file and not files.exists(path) and not file.startswith("/"):
            inside = f"{self.root}/{file}"
            path = inside if files.exists(inside) else path
        if files.exists(path) and not files.is_file(path):
            raise CommandError(f"{path} is not a regular file")
        try:
            with open(path, "rb") as opened:
                self.dockerfile = opened.read()
        except OSError as error:
            raise CommandError(
                f"failed to read dockerfile: open {path}: {error.strerror}"
            ) from error
        self.path = path
        self.name = file or path.rpartition("/")[2]


def _rest_of_stdin() -> bytes:
    parts = []
    while chunk := posix.read(0, 1 << 16):
        parts.append(chunk)
    return b"".join(parts)


def _named_contexts(texts: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the named contexts as the daemon sees them, and the directories among them."""
    contexts: dict[str, str] = {}
    local: dict[str, str] = {}
    for text in texts:
        name, equals, where = text.partition("=")
        if not equals or not name:
            raise UsageError(f'invalid value "{text}" for --build-context: expected name=where')
        contexts[name] = where
        if not where.startswith((*_REMOTE, "docker-image://", "oci-layout://")):
            if not files.is_directory(where):
                raise CommandError(f'build context {name}: path "{where}" not found')
            local[name] = where
            contexts[name] = "local"
    return contexts, local


def _send(
    build: Any,
    source: Source,
    local: dict[str, str],
    caches: list[dict[str, Any]],
    shown: View,
) -> None:
    from moorage.cli.building import context

    directories = dict(local)
    for number, item in enumerate(caches):
        if item["Type"] == "local" and files.is_directory(item["Attrs"].get("src", "")):
            directories[f"cache-from:{number}"] = item["Attrs"]["src"]
    if source.root:
        directories["context"] = source.root
    for name, root in directories.items():
        path = getattr(source, "path", "") if name == "context" else f"{root}/-"
        tree = context.Tree(root, context.ignore_rules(root, path))
        build.send(name, tree, context.key_of(root), shown)
    if source.archive:
        build.send_archive(source.head)


def _follow(build: Any, body: dict[str, Any], shown: View) -> dict[str, Any]:
    ending: dict[str, Any] = {}
    for event in build.build(body, shown.tick):
        if event.get("type") in ("result", "failure"):
            ending = event
        elif "error" in event and "type" not in event:
            ending = {"type": "failure", "message": event["error"]}
        else:
            shown.take(event)
    return ending or {"type": "failure", "message": "the daemon ended the build without a result"}


def _sentence(ending: dict[str, Any]) -> str:
    hint = ending.get("hint")
    return f"failed to build: {ending['message']}" + (f" ({hint})" if hint else "")


def _report(session: Session, values: Values, shown: View, ending: dict[str, Any]) -> int:
    if values.flag("check"):
        for warning in shown.warnings:
            session.out.line(f"WARNING: {warning['rule']} - {warning.get('url', '')}")
            session.out.line(warning["detail"])
            session.out.line(warning.get("frame", ""))
            session.out.line()
        count = len(shown.warnings)
        if not count:
            session.out.line("Check complete, no warnings found.")
        else:
            session.out.line(f"Check complete, {count} warning{'s' * (count > 1)} have been found!")
        return 1 if count else 0
    shown.findings()
    image = ending.get("imageId", "")
    if values.text("iidfile") and image:
        with open(values.text("iidfile"), "w", encoding="ascii") as file:
            file.write(image)
    if values.flag("quiet"):
        if image:
            session.out.line(image)
    elif image and values.text("progress") != "rawjson":
        names = ", ".join(ending.get("tags", ()))
        session.err.line(f"built {image}" + (f", tagged {names}" if names else ""))
    return 0


def _agents(session: Session, identity: str, texts: list[str]) -> list[Agent]:
    """Offer SSH agents; all or none."""
    offered: list[Agent] = []
    if not texts:
        return offered
    from moorage.cli.building import agent

    try:
        offered.extend(agent.start(session, identity, text) for text in texts)
    except BaseException:
        for one in offered:
            one.close()
        raise
    return offered


def _debug(session: Session, ending: dict[str, Any], values: Values) -> int:
    """Open a shell in the state before the failure, if that was asked for."""
    image = ending.get("debugImage")
    if not values.flag("debug"):
        return 1
    if not image:
        session.err.line("there is no state to look at: the build failed before its first step")
        return 1
    if not session.stdin_is_terminal:
        session.err.line(f"the state before the failure is kept as image {image}")
        session.err.line(f"look at it with: moor run -it --rm {image} sh")
        return 1
    session.err.line("a shell in the state just before the failed step; exit it to go on")
    session.err.flush()
    from moorage.cli.commands.container import run as running

    words = ["--interactive", "--tty", "--rm", image, "/bin/sh"]
    shell, arguments = parse(running.COMMAND.options, words, interspersed=False)
    try:
        running.COMMAND.run(session, shell, arguments)
    finally:
        session.another_api().delete(f"/images/{image}", force=True)
    return 1


def _ulimit(text: str) -> object:
    from moorage.cli.specs import devices

    return devices.ulimit(text)


COMMAND = Command(
    run,
    arguments="PATH | URL | -",
    least=0,
    most=None,
    options=(
        Option("add-host", "", "list", "Add a host to /etc/hosts of commands (name:address)"),
        Option(
            "allow", "", "list", "Permit what needs it: network.host, security.insecure, device"
        ),
        Option("attest", "", "list", "Add an attestation: type=sbom, type=provenance,mode=max"),
        Option("build-arg", "", "list", "Set a build argument (name=value, or name alone)"),
        Option("build-context", "", "list", "Give another context (name=path, URL or image)"),
        Option("cache-from", "", "list", "Take cache from here too (type=registry,ref=… or local)"),
        Option("cache-to", "", "list", "Write the cache there (type=inline, registry or local)"),
        Option("cgroup-parent", "", "string", "Parent control group of commands"),
        Option("compress", "", "bool", "Has no effect: what is known is not sent", hidden=True),
        Option("check", "", "bool", "Only apply the checks, build nothing"),
        Option("cpu-period", "", "int", "Length of a CPU period in microseconds"),
        Option("cpu-quota", "", "int", "CPU time in a period in microseconds"),
        Option("cpu-shares", "c", "int", "Relative weight of CPU time"),
        Option("cpuset-cpus", "", "string", "CPUs that commands may use (0-3, 0,1)"),
        Option("cpuset-mems", "", "string", "Memory nodes that commands may use"),
        Option("debug", "", "bool", "After a failure, open a shell in the state before it"),
        NO_TRUST,
        Option("file", "f", "string", "Where the Dockerfile is (default: PATH/Dockerfile)"),
        Option("force-rm", "", "bool", "Has no effect: nothing is left behind", hidden=True),
        Option("iidfile", "", "string", "Write the image's id to a file"),
        Option("isolation", "", "string", "Isolation technology", hidden=True),
        Option("label", "", "list", "Set a label of the image"),
        Option("load", "", "bool", "Keep the image in the store, beside other outputs"),
        Option("memory", "m", "bytes", "Memory that a command may use"),
        Option("memory-swap", "", "swap", "Memory and swap that a command may use, -1: no limit"),
        Option("network", "", "string", "Network of commands: default, none, host, or a name"),
        Option("no-cache", "", "bool", "Do every step again"),
        Option("no-cache-filter", "", "strings", "Do every step of these stages again"),
        Option("output", "o", "list", "Where the result goes (type=local,dest=… or a directory)"),
        Option("platform", "", "strings", "Build for these platforms"),
        Option(
            "progress",
            "",
            "string",
            "How progress is shown: auto, plain, tty, rawjson, quiet",
            default="auto",
            choices="auto plain tty rawjson quiet",
        ),
        Option("provenance", "", "string", "Short for --attest type=provenance"),
        Option("pull", "", "bool", "Pull base images even if they are here"),
        Option("push", "", "bool", "Push the image"),
        Option("quiet", "q", "bool", "Print the image's id and nothing else"),
        Option("rm", "", "bool", "Has no effect: nothing is left behind", hidden=True),
        Option("sbom", "", "string", "Short for --attest type=sbom"),
        Option("secret", "", "list", "Give a secret to commands (id=name,src=file or env=NAME)"),
        Option("security-opt", "", "strings", "Security options", hidden=True),
        Option("shm-size", "", "bytes", "Size of /dev/shm of commands"),
        Option("squash", "", "bool", "Make the new layers one"),
        Option("ssh", "", "list", "Give commands an SSH agent or key (default, or id=path)"),
        Option("tag", "t", "list", "Name of the image (name:tag)"),
        Option("target", "", "string", "Stage to build"),
        Option("ulimit", "", "ulimit", "Resource limits of commands", check=_ulimit),
    ),
)
