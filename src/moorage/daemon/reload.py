"""SIGHUP: the file is read again, and what can change while the daemon runs is taken over."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable

import msgspec

from moorage.daemon import loading, logsetup, notify
from moorage.daemon.commandline import CommandLine
from moorage.daemon.config import Config
from moorage.daemon.options import OPTIONS
from moorage.lib.errors import MoorageError

log = logging.getLogger(__name__)

Apply = Callable[[Config], None]
Announce = Callable[[dict[str, str]], None]


class Reloader:
    """Holds the configuration in force; calling it reloads."""

    def __init__(
        self, line: CommandLine, config: Config, apply: Iterable[Apply], announce: Announce
    ) -> None:
        self._line = line
        self._config = config
        self._apply = list(apply)
        self._announce = announce

    def __call__(self) -> None:
        """Read the file again; if it is bad, say so and keep everything as it was."""
        notify.notify("RELOADING=1")
        try:
            fresh = loading.load(self._line)
        except MoorageError as error:
            log.error("the configuration is not reloaded: %s", error)  # noqa: TRY400 - it says all
        else:
            self._take_over(fresh)
        notify.notify("READY=1")

    def _take_over(self, fresh: Config) -> None:
        live = {_field(option.key) for option in OPTIONS if option.reload}
        changed = {
            name
            for name in Config.__struct_fields__
            if getattr(fresh, name) != getattr(self._config, name)
        }
        for name in sorted(changed - live):
            log.warning("%s has changed; it counts from the next start on", name.replace("_", "-"))
        values = {name: getattr(fresh, name) for name in changed & live}
        self._config = msgspec.structs.replace(self._config, **values)
        for apply in self._apply:
            apply(self._config)
        logsetup.set_up(
            level=self._config.log_level,
            debug=self._config.debug,
            log_format=self._config.log_format,
        )
        log.info("configuration reloaded, changed: %s", ", ".join(sorted(values)) or "nothing")
        self._announce(_attributes(self._config, live))


def _field(key: str) -> str:
    return key.replace("-", "_")


def _attributes(config: Config, live: set[str]) -> dict[str, str]:
    """Return the settings in force as the ``reload`` event carries them."""
    attributes: dict[str, str] = {}
    for name in sorted(live & set(Config.__struct_fields__)):
        value = getattr(config, name)
        shown = value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value))
        attributes[name.replace("_", "-")] = shown
    return attributes
