"""One invocation: its streams, configuration, and the daemon it talks to, each made when needed."""

from __future__ import annotations

import posix

from moorage.cli.output import Output
from moorage.cli.tree import PROGRAM

_HEADERS = "DOCKER_CUSTOM_HEADERS"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moorage.cli.options import Values
    from moorage.client.api import Api
    from moorage.client.configfile import ConfigFile
    from moorage.client.endpoint import Endpoint


class Session:
    """What a command is given besides its own arguments."""

    def __init__(self, globals_: Values, environ: Mapping[str, str]) -> None:
        self.globals = globals_
        self.environ = environ
        self.out = Output(1)
        self.err = Output(2)
        self.typed = PROGRAM  # the command as the user typed it, for messages
        self._config: ConfigFile | None = None
        self._api: Api | None = None

    @property
    def config_directory(self) -> str:
        """Where config.json and contexts are."""
        home = self.environ.get("HOME") or "/root"
        return self.globals.text("config") or self.environ.get("DOCKER_CONFIG") or f"{home}/.docker"

    @property
    def config(self) -> ConfigFile:
        """The client's configuration file."""
        if self._config is None:
            from moorage.client.configfile import ConfigFile

            self._config = ConfigFile(self.config_directory)
            if reason := self._config.broken:
                where = self._config.path
                self.err.line(f"WARNING: Error parsing config file ({where}): {reason}")
        return self._config

    @property
    def api(self) -> Api:
        """The daemon."""
        if self._api is None:
            self._api = self.another_api()
        return self._api

    def another_api(self) -> Api:
        """Return a client with a connection of its own, for use beside ``api``."""
        from moorage.client.api import Api

        version = self.environ.get("DOCKER_API_VERSION") or None
        if self._api is not None:
            version = self._api.version  # negotiated once for all
        headers = {str(k): str(v) for k, v in self.config.table("HttpHeaders").items()}
        if text := self.environ.get(_HEADERS):
            headers = custom_headers(text)
        return Api(self.endpoint, version=version, headers=headers)

    @property
    def endpoint(self) -> Endpoint:
        """Where the daemon is."""
        from moorage.cli import resolve

        return resolve.endpoint(self)

    @property
    def stdin_is_terminal(self) -> bool:
        """Tell whether a person types."""
        return posix.isatty(0)

    def each(self, names: list[str], act: Callable[[Api, str], str | None]) -> int:
        """Do *act* for every name in turn, print what it returns, report failures and go on.

        Returns: the exit status.
        """
        failed = 0
        for name in names:
            failed |= self._report(_bound(act, self.api, name))
        return failed

    def each_at_once(self, names: list[str], act: Callable[[Api, str], str | None]) -> int:
        """Do *act* for all names at the same time, each on a connection of its own.

        A stop may take its ten seconds: ten of them still take ten. Results are printed in the
        order of *names*.
        """
        if len(names) == 1:
            return self.each(names, act)
        from moorage.cli import parallel

        outcomes = parallel.start([_bound(act, self.another_api(), name) for name in names])
        failed = 0
        for outcome in outcomes:
            failed |= self._report(outcome.result)
        return failed

    def _report(self, act: Callable[[], str | None]) -> int:
        from moorage.lib.errors import MoorageError

        try:
            printed = act()
        except MoorageError as e:
            self.err.line(str(e))
            return 1
        if printed is not None:
            self.out.line(printed)
            self.out.flush()
        return 0

    def confirm(self, question: str) -> bool:
        """Ask on the terminal; anything but y is no."""
        self.out.write(f"{question} [y/N] ")
        self.out.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            typed = posix.read(0, 1)
            if not typed:
                self.out.line()
                break
            answer += typed
        return answer.strip().lower() in {b"y", b"yes"}


def custom_headers(text: str) -> dict[str, str]:
    """Read the headers of the environment, which take the place of those of config.json.

    Raises: CommandError.
    """
    from moorage.cli import kinds
    from moorage.cli.failure import CommandError

    headers: dict[str, str] = {}
    try:
        pairs = kinds.split_csv(text)
    except ValueError as e:
        raise CommandError(
            f"failed to parse custom headers from {_HEADERS} environment variable: value must be "
            "formatted as comma-separated key=value pairs"
        ) from e
    for pair in pairs:
        name, equals, value = pair.partition("=")
        wrong = f"failed to set custom headers from {_HEADERS} environment variable:"
        if not equals:
            raise CommandError(f"{wrong} missing \"=\" in key=value pair: '{pair}'")
        if not name.strip():
            raise CommandError(
                f"{wrong} value contains a key=value pair with an empty key: '{pair}'"
            )
        headers[name.strip()] = value
    return headers


def _bound(act: Callable[[Api, str], str | None], api: Api, name: str) -> Callable[[], str | None]:
    return lambda: act(api, name)
