"""Labels of SELinux: of which parts, whose they are, and what of the host never gets one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import relabel, selinux_label
from moorage.runtime.selinux import SELinux
from moorage.runtime.selinux_label import Label, Labels, Policy

CONTEXTS = """
# of refpolicy
process = "system_u:system_r:container_t:s0"
file = "system_u:object_r:container_file_t:s0"
ro_file="system_u:object_r:container_ro_file_t:s0"
"""
LEVEL = "s0:c1,c2"
FILE = "system_u:object_r:container_file_t"


@pytest.fixture
def policy() -> Policy:
    found = Policy.parse(CONTEXTS)
    assert found is not None
    return found


def host(root: Path, *, contexts: str = CONTEXTS, current: str = "unconfined_t") -> SELinux:
    """Return SELinux of a host whose files are below *root*."""
    (root / "fs").mkdir()
    (root / "fs/enforce").write_text("1")
    (root / "etc/default/contexts").mkdir(parents=True)
    (root / "etc/default/contexts/lxc_contexts").write_text(contexts)
    (root / "etc/config").write_text("# SELINUXTYPE=mls\nSELINUX=enforcing\nSELINUXTYPE=default\n")
    (root / "current").write_text(f"{current}\0")
    return SELinux(
        wanted=True, filesystem=root / "fs", settings=root / "etc", current=root / "current"
    )


@pytest.mark.parametrize(
    ("options", "process", "mount"),
    [
        ([], f"system_u:system_r:container_t:{LEVEL}", f"{FILE}:{LEVEL}"),
        (["disable"], "", f"{FILE}:s0:c1022,c1023"),
        (["type:spc_t"], f"system_u:system_r:spc_t:{LEVEL}", f"{FILE}:{LEVEL}"),
        (["filetype:x_t"], f"system_u:system_r:container_t:{LEVEL}", None),
        (["level:s0:c7,c9"], "system_u:system_r:container_t:s0:c7,c9", f"{FILE}:s0:c7,c9"),
        (
            ["user:u", "role:r"],
            f"u:r:container_t:{LEVEL}",
            f"u:object_r:container_file_t:{LEVEL}",
        ),
    ],
)
def test_labels_by_option(
    policy: Policy, options: list[str], process: str, mount: str | None
) -> None:
    expected = f"system_u:object_r:x_t:{LEVEL}" if mount is None else mount
    assert selinux_label.make(policy, options, LEVEL) == Labels(process, expected)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("nothing", "Bad label option \"nothing\", valid options 'disable' or"),
        ("colour:red", 'Bad label option "colour", valid options \'disable, user, role, level,'),
    ],
)
def test_option_that_is_none(policy: Policy, option: str, said: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        selinux_label.make(policy, [option], LEVEL)
    assert refused.value.message.startswith(said)


def test_options_of_another_give_its_label(policy: Policy) -> None:
    first = selinux_label.make(policy, ["type:spc_t"], LEVEL)
    options = selinux_label.duplicate(first.process)
    assert options == ["user:system_u", "role:system_r", "type:spc_t", f"level:{LEVEL}"]
    assert selinux_label.make(policy, options, "s0:c3,c4") == first
    assert selinux_label.duplicate("") == []


def test_label_survives_parsing() -> None:
    text = f"{FILE}:{LEVEL}"
    assert str(Label.parse(text)) == text
    assert selinux_label.shared(text) == f"{FILE}:s0"
    assert selinux_label.level_of(text) == LEVEL
    with pytest.raises(InvalidParameter, match="invalid SELinux label"):
        Label.parse("only:two")


def test_level_is_given_once_while_somebody_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selinux = host(tmp_path)
    selinux.open()
    held: list[str] = []
    selinux.holders.append(lambda: held)
    numbers = iter([1022, 1023, 5, 5, 9, 3, 9, 3, 3, 9, 4, 2, 3, 9])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(numbers))
    first = selinux.take([])  # not those of the privileged, nor one category twice
    assert selinux_label.level_of(first.mount) == "s0:c3,c9"
    held.append(first.mount)
    second = selinux.take([])
    assert selinux_label.level_of(second.mount) == "s0:c2,c4"
    held.remove(first.mount)
    assert selinux.take([]) == first


def test_no_level_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selinux = host(tmp_path)
    selinux.open()
    numbers = iter([1, 2] * 20_000)
    monkeypatch.setattr("secrets.randbelow", lambda _: next(numbers))
    selinux.holders.append(lambda: [f"{FILE}:s0:c1,c2"])
    with pytest.raises(System, match="all but used up"):
        selinux.take([])


def test_kernel_without_selinux_is_said_and_changes_nothing(tmp_path: Path) -> None:
    selinux = SELinux(wanted=True, filesystem=tmp_path / "absent")
    selinux.open()
    assert not selinux.enabled
    assert "could not enable SELinux on the host system" in selinux.warnings[0]
    assert selinux.take(["level:s0", "bad"]) == Labels()
    assert selinux.applied("a:b:c") == ""
    selinux.relabel("/", f"{FILE}:s0", shared=True)  # done nothing, refused nothing


@pytest.mark.parametrize(
    ("contexts", "current", "said"),
    [
        ("", "unconfined_t", "names no types for containers"),
        ("process=x\nfile=a:b:c", "unconfined_t", "invalid SELinux label: x"),
        (CONTEXTS, "kernel", "its kernel runs without"),
    ],
)
def test_policy_without_containers(tmp_path: Path, contexts: str, current: str, said: str) -> None:
    selinux = host(tmp_path, contexts=contexts, current=current)
    selinux.open()
    assert not selinux.enabled
    assert said in selinux.warnings[0]


def test_selinux_is_off_unless_asked_for(tmp_path: Path) -> None:
    selinux = SELinux(wanted=False, filesystem=tmp_path)
    selinux.open()
    assert (selinux.enabled, selinux.warnings) == (False, [])


@pytest.mark.parametrize(
    "path", ["/", "/usr", "/etc", "/home", "/var/lib/", "/usr/../etc", "/lib", "/bin"]
)
def test_places_of_the_host_keep_their_labels(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "setxattr", fail)
    with pytest.raises(System, match="is not allowed"):
        relabel.tree(Path(path), f"{FILE}:s0")


def test_link_to_a_place_of_the_host_and_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("/usr")
    with pytest.raises(System, match="SELinux relabeling of /usr is not allowed"):
        relabel.tree(tmp_path / "link", f"{FILE}:s0")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(System, match="is not allowed"):
        relabel.tree(tmp_path, f"{FILE}:s0")


def test_all_in_a_tree_is_labelled_and_links_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/f").touch()
    outside.mkdir()
    (outside / "secret").touch()
    (tree / "a/out").symlink_to(outside)
    labelled: dict[str, bytes] = {}

    def place(path: str, follow_symlinks: bool) -> str:  # noqa: FBT001 - as os has it
        directory, name = os.path.split(path)
        return os.readlink(path) if follow_symlinks else f"{os.readlink(directory)}/{name}"

    def get(path: str, _: str, *, follow_symlinks: bool = True) -> bytes:
        return labelled.get(place(path, follow_symlinks), b"other\0")

    def put(path: str, _: str, value: bytes, *, follow_symlinks: bool = True) -> None:
        labelled[place(path, follow_symlinks)] = value

    monkeypatch.setattr(os, "getxattr", get)
    monkeypatch.setattr(os, "setxattr", put)
    relabel.tree(tree, f"{FILE}:s0")
    assert set(labelled.values()) == {f"{FILE}:s0\0".encode()}
    assert {Path(path).relative_to(tmp_path).as_posix() for path in labelled} == {
        "tree", "tree/a", "tree/a/b", "tree/a/b/f", "tree/a/out",
    }  # fmt: skip
    monkeypatch.setattr(os, "setxattr", None)  # what has the label already is left alone
    relabel.tree(tree, f"{FILE}:s0")


def test_file_system_without_labels_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "getxattr", refuse)
    relabel.tree(tmp_path, f"{FILE}:s0")
