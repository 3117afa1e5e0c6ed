"""Names too long for a tar header: what stands in the header is cut, and says nothing."""

import io
import tarfile

import pytest

from moorage.storage.archive.reader import TarReader


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_name_cut_behind_a_slash_does_not_make_a_directory_of_a_file(form: int) -> None:
    name = "d" * 99 + "/file"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        member = tarfile.TarInfo(name)
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
        archive.addfile(tarfile.TarInfo("next"))
    reader = TarReader(iter([buffer.getvalue()]))
    entries = [(entry.name, entry.kind, reader.read(100)) for entry in reader]
    assert entries == [(name, "0", b"hello"), ("next", "0", b"")]
