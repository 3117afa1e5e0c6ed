"""The ``tag`` option of log drivers: a small template over the container's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from moorage.lib.errors import InvalidParameter

_FIELD: Final = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
_KEYS: Final = {
    "ID": "short_id",
    "FullID": "id",
    "ContainerID": "id",
    "Name": "name",
    "ContainerName": "name",
    "ImageID": "short_image_id",
    "ImageFullID": "image_id",
    "ImageName": "image_name",
    "ContainerImageID": "image_id",
    "ContainerImageName": "image_name",
    "Command": "command",
    "Hostname": "hostname",
}
DAEMON: Final = "docker"  # what {{.DaemonName}} is: log pipelines match on it


def expand(template: str, tags: Mapping[str, str]) -> str:
    """Return *template* with its fields filled in from *tags* (``ProcessIO.log_tags``).

    Raises: InvalidParameter (unknown field, or more than fields).
    """
    values = {**tags, "short_image_id": tags.get("image_id", "").removeprefix("sha256:")[:12]}

    def fill(field: re.Match[str]) -> str:
        if field[1] == "DaemonName":
            return DAEMON
        if field[1] not in _KEYS:
            raise InvalidParameter(f"invalid log tag: no field {field[1]}", hint=_hint())
        return values.get(_KEYS[field[1]], "")

    filled = _FIELD.sub(fill, template)
    if "{{" in filled:
        raise InvalidParameter(f"invalid log tag: {template}", hint=_hint())
    return filled


def _hint() -> str:
    return "use fields such as {{.Name}}: " + ", ".join(sorted(_KEYS))
