"""``moor plugin create``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.references import check
from moorage.client import files, jsonwire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make a plugin of a directory with config.json and rootfs."""
    from moorage.cli.copying.pack import pack

    name, directory = arguments
    check(name)
    _check(directory)
    body = pack(directory, ".")
    if values.flag("compress"):
        body = _compressed(body)
    headers = {"Content-Type": "application/x-tar"}
    session.api.request("POST", "/plugins/create", {"name": name}, body=body, headers=headers)
    session.out.line(name)


def _check(directory: str) -> None:
    if not files.is_directory(directory):
        raise CommandError(f"lstat {directory}: no such file or directory")
    path = f"{directory}/config.json"
    try:
        with open(path, "rb") as file:
            if not isinstance(jsonwire.decode(file.read()), dict):
                raise CommandError(f"{path} is not a JSON object")
    except FileNotFoundError as e:
        raise CommandError(f"open {path}: no such file or directory") from e
    except ValueError as e:
        raise CommandError(f"{path}: {e}") from e
    if not files.is_directory(f"{directory}/rootfs"):
        raise CommandError(f"stat {directory}/rootfs: no such file or directory")


def _compressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zlib

    gzip = zlib.compressobj(wbits=31)
    for chunk in chunks:
        yield gzip.compress(chunk)
    yield gzip.flush()


COMMAND = Command(
    run,
    arguments="PLUGIN PLUGIN-DATA-DIR",
    least=2,
    most=2,
    options=(Option("compress", "", "bool", "Send it compressed"),),
)
