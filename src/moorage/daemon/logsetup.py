"""The daemon's own log: one line an event, in logfmt as dockerd's, or JSON."""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

from moorage.lib import clock

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}


class _LogFormatter(logging.Formatter):
    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        fields = {
            "time": clock.rfc3339(int(record.created * 1e9)),
            "level": _NAMES.get(record.levelno, "info"),
            "msg": message,
            "module": record.name.removeprefix("moorage."),
        }
        if self._as_json:
            return json.dumps(fields)
        return " ".join(f"{key}={_quote(value)}" for key, value in fields.items())


def _quote(text: str) -> str:
    plain = text and all(c.isalnum() or c in "-._/:+@" for c in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def set_up(*, level: str, debug: bool, log_format: str) -> None:
    """Write the log to stderr; may be called again when the configuration changes."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LogFormatter(as_json=log_format == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else _LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
