"""``moor context export``."""

from __future__ import annotations

from moorage.cli.commands.context import describing
from moorage.cli.failure import CommandError
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Write a context to an archive that ``context import`` reads."""
    import os

    name = arguments[0]
    target = arguments[1] if len(arguments) > 1 else f"{name}.dockercontext"
    content = archive(session, name)
    if target == "-":
        if session.out.is_terminal:
            raise CommandError("cowardly refusing to export to a terminal, specify a file path")
        session.out.write_bytes(content)
        return
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise CommandError(f"open {target}: {(e.strerror or '').lower()}") from e
    with open(descriptor, "wb") as file:
        file.write(content)
    session.err.line(f'Written file "{target}"')


def archive(session: Session, name: str) -> bytes:
    """Return the tar archive of a context."""
    import io
    from tarfile import TarFile, TarInfo

    from moorage.client import jsonwire
    from moorage.client.contexts import DEFAULT, ContextStore

    if name == DEFAULT:
        endpoint, certificates = describing.copy_of(session, DEFAULT)
        meta = {"Name": DEFAULT, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    else:
        meta = ContextStore(session.config_directory).get(name).meta
        certificates = describing.copy_of(session, name)[1]
    buffer = io.BytesIO()
    with TarFile(fileobj=buffer, mode="w") as tar:

        def add(path: str, content: bytes, mode: int) -> None:
            entry = TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))

        add("meta.json", jsonwire.encode(meta).encode(), 0o644)
        for file, content in certificates.items():
            add(f"tls/docker/{file}", content, 0o600)
    return buffer.getvalue()


COMMAND = Command(run, arguments="CONTEXT [FILE|-]", least=1, most=2, complete="contexts files")
