"""``moor context import``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

LARGEST = 10 << 20  # bytes of an archive, packed and unpacked


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Store a context from an archive; only the files a context has are read from it."""
    from moorage.cli.saving import file_chunks
    from moorage.client import jsonwire
    from moorage.client.contexts import TLS_FILES, ContextStore, check_name

    name, source = arguments
    check_name(name)
    content = b""
    for chunk in file_chunks(source):
        content += chunk
        if len(content) > LARGEST:
            raise CommandError(f"{source} is larger than any context ({LARGEST} bytes)")
    try:
        files = _from_zip(content) if content.startswith(b"PK") else _from_tar(content)
        meta = jsonwire.decode(files["meta.json"])
    except (KeyError, ValueError, OSError) as e:
        raise CommandError(f"{source} is no context: {e}") from e
    meta["Name"] = name
    certificates = {
        file: files[f"tls/docker/{file}"] for file in TLS_FILES if f"tls/docker/{file}" in files
    }
    ContextStore(session.config_directory).create(meta, certificates)
    session.out.line(name)
    session.err.line(f'Successfully imported context "{name}"')


def _wanted(name: str) -> bool:
    from moorage.client.contexts import TLS_FILES

    return name == "meta.json" or name in {f"tls/docker/{file}" for file in TLS_FILES}


def _from_tar(content: bytes) -> dict[str, bytes]:
    import io
    from tarfile import TarError, TarFile

    files: dict[str, bytes] = {}
    try:
        with TarFile(fileobj=io.BytesIO(content)) as tar:
            for entry in tar:
                if entry.isreg() and _wanted(entry.name) and (opened := tar.extractfile(entry)):
                    files[entry.name] = opened.read(LARGEST)
    except TarError as e:
        raise ValueError(str(e)) from e
    return files


def _from_zip(content: bytes) -> dict[str, bytes]:
    import io
    from zipfile import BadZipFile, ZipFile

    files: dict[str, bytes] = {}
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            for name in filter(_wanted, archive.namelist()):
                with archive.open(name) as opened:
                    files[name] = opened.read(LARGEST)
    except BadZipFile as e:
        raise ValueError(str(e)) from e
    return files


COMMAND = Command(run, arguments="CONTEXT FILE|-", least=2, most=2, complete="files")
