"""What binfmt_misc says of the machines that can be emulated."""

from __future__ import annotations

from pathlib import Path

from moorage.kernel import binfmt

ENTRY = """{state}
interpreter /usr/libexec/qemu-binfmt/x
flags: POCF
offset 0
magic {magic}
mask ffffffffffffff00fffffffffffffffffeffffff
"""
ARM64 = "7f454c460201010000000000000000000200b700"
S390X = "7f454c4602020100000000000000000000020016"


def test_enabled_entries_for_elf_files_are_told_by_machine(tmp_path: Path) -> None:
    assert binfmt.machines(tmp_path / "unmounted") == set()
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "arm64").write_text(ENTRY.format(state="enabled", magic=ARM64))
    (tmp_path / "s390x").write_text(ENTRY.format(state="enabled", magic=S390X))
    (tmp_path / "riscv").write_text(ENTRY.format(state="disabled", magic=ARM64[:-4] + "f300"))
    (tmp_path / "script").write_text(ENTRY.format(state="enabled", magic="2321"))
    (tmp_path / "suffix").write_text("enabled\ninterpreter /usr/bin/wine\nextension .exe\n")
    assert binfmt.machines(tmp_path) == {183, 22}


def test_what_cannot_be_read_hides_no_other_entry(tmp_path: Path) -> None:
    for name in ("a", "m", "z"):  # in whichever order the directory gives them
        (tmp_path / name).mkdir()
    (tmp_path / "n").write_text(ENTRY.format(state="enabled", magic=ARM64))
    assert binfmt.machines(tmp_path) == {183}
