"""``--env``, ``--env-file``, ``--label``, ``--label-file``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def check_variable(spec: str) -> str:
    """Refuse a value of ``--env`` that has no name.

    Raises: ValueError.
    """
    if not spec.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {spec}")
    return spec


def check_label(spec: str) -> str:
    """Refuse a value of ``--label`` that has no name.

    Raises: ValueError.
    """
    if not spec.partition("=")[0]:
        raise ValueError(f"invalid label '{spec}': empty name")
    return spec


def variable(spec: str, environ: Mapping[str, str]) -> str:
    """Return ``NAME=value``; a bare name takes its value from the client's environment.

    A bare name the client does not have stays bare: the daemon then removes that variable.
    """
    name, equals, _ = spec.partition("=")
    if not equals and name in environ:
        return f"{name}={environ[name]}"
    return spec


def file_lines(path: str, environ: Mapping[str, str] | None) -> list[str]:
    """Read ``NAME=value`` lines; *environ* None means labels, which have no environment."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as e:
        raise ValueError(f"open {path}: {(e.strerror or str(e)).lower()}") from e
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise ValueError(f"invalid env file ({path}): not UTF-8 at byte {e.start}") from e
    found: list[str] = []
    for line in text.splitlines():
        stripped = line.lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        if not name:
            raise ValueError(f"invalid env file ({path}): no variable name on line '{stripped}'")
        if any(char.isspace() for char in name):
            raise ValueError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
        if equals:
            found.append(f"{name}={value}")
        elif environ is None:
            found.append(name)
        elif name in environ:
            found.append(f"{name}={environ[name]}")
    return found


def labels(files: list[str], pairs: list[str]) -> dict[str, str]:
    """Merge label files and ``--label`` flags; the flags count more."""
    table: dict[str, str] = {}
    for line in [line for path in files for line in file_lines(path, None)] + pairs:
        key, _, value = line.partition("=")
        table[key] = value
    return table
