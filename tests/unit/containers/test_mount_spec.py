from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.containers import mount_spec
from moorage.containers.record import MountRecord
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.engine.mount import BindOptions, Mount, TmpfsOptions, VolumeOptions


def test_a_path_is_a_bind_and_is_made_if_missing() -> None:
    mount = mount_spec.parse_bind("/host/:/inside:ro,rslave,Z")
    assert (mount.type, mount.source, mount.destination) == ("bind", "/host", "/inside")
    assert not mount.writable
    assert (mount.propagation, mount.relabel, mount.create_source) == ("rslave", "Z", True)


def test_a_name_is_a_volume_filled_from_the_image() -> None:
    mount = mount_spec.parse_bind("data:/inside")
    assert (mount.type, mount.name, mount.driver) == ("volume", "data", "local")
    assert mount.copy_up
    assert not mount.anonymous


def test_nocopy_keeps_a_volume_empty() -> None:
    assert not mount_spec.parse_bind("data:/inside:nocopy").copy_up


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "invalid volume specification"),
        ("a:b:c:d", "invalid volume specification"),
        (":/x", "invalid volume specification"),
        ("/a:relative", "mount path must be absolute"),
        ("/a:/", "destination can't be '/'"),
        ("/a:/../..", "destination can't be '/'"),
        ("/a:/b:nonsense", "invalid mode: nonsense"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:nocopy", 'type "bind": field VolumeOptions must not be specified'),
        ("vol:/b:rshared", 'type "volume": field BindOptions must not be specified'),
        ("foo!:/b", "includes invalid characters for a local volume name"),
        ("x:/b", "volume name is too short, names should be at least two alphanumeric"),
        ("../x:/b", "includes invalid characters for a local volume name"),
    ],
)
def test_bad_binds_are_refused_with_dockers_words(text: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        mount_spec.parse_bind(text)


@given(st.text(max_size=40))
def test_any_bind_is_taken_or_refused(text: str) -> None:
    try:
        mount = mount_spec.parse_bind(text)
    except InvalidParameter:
        return
    assert mount.destination.startswith("/")
    assert mount.destination != "/"
    assert ".." not in mount.destination.split("/")


def test_the_same_place_twice_is_refused() -> None:
    host = HostConfig(binds=["/a:/x"], mounts=[Mount(type="tmpfs", target="/x/")])
    with pytest.raises(InvalidParameter, match="Duplicate mount point: /x"):
        mount_spec.plan(ContainerConfig(), host)


def test_volumes_of_the_image_give_way_to_the_users_mounts() -> None:
    config = ContainerConfig(volumes={"/data": {}, "/cache": {}, "/tmp": {}})
    host = HostConfig(binds=["/a:/data"], tmpfs={"/tmp": ""})
    mounts = {m.destination: m for m in mount_spec.plan(config, host)}
    assert set(mounts) == {"/data", "/cache"}
    assert mounts["/data"].type == "bind"
    assert mounts["/cache"].anonymous


def test_own_mounts_win_over_those_of_another_container() -> None:
    inherited = [MountRecord(type="volume", name="old", destination="/data")]
    mounts = mount_spec.plan(ContainerConfig(), HostConfig(binds=["new:/data"]), inherited)
    assert [m.name for m in mounts] == ["new"]


def test_volumes_from_can_be_read_only_and_leaves_tmpfs_out() -> None:
    theirs = [
        MountRecord(type="volume", name="v", destination="/v", copy_up=True),
        MountRecord(type="tmpfs", destination="/t"),
    ]
    (mount,) = mount_spec.inherit(theirs, writable=False)
    assert (mount.name, mount.writable, mount.copy_up) == ("v", False, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("web", ("web", True)), ("web:ro", ("web", False)), ("web:rw", ("web", True))],
)
def test_volumes_from_is_parsed(text: str, expected: tuple[str, bool]) -> None:
    assert mount_spec.parse_volumes_from(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "volumes-from specification cannot be an empty string"),
        (":ro", 'invalid name or ID supplied: ""'),
        ("web:bogus", "invalid mode: bogus"),
        ("web:nocopy", "invalid mode: nocopy"),
    ],
)
def test_bad_volumes_from_is_refused_with_dockers_words(text: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        mount_spec.parse_volumes_from(text)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        (Mount(type="floppy", target="/x"), "mount type unknown"),
        (Mount(type="bind", source="/a"), "field Target must not be empty"),
        (Mount(type="bind", target="/x"), "field Source must not be empty"),
        (Mount(type="bind", target="x", source="/a"), "mount path must be absolute"),
        (Mount(type="bind", target="/x", source="a"), "mount path must be absolute"),
        (
            Mount(type="bind", target="/x", source="/a", volume_options=VolumeOptions()),
            'VolumeOptions must not be specified on mount type "bind"',
        ),
        (
            Mount(
                type="bind",
                target="/x",
                source="/a",
                bind_options=BindOptions(read_only_force_recursive=True),
            ),
            "ReadOnlyForceRecursive",
        ),
        (
            Mount(
                type="volume",
                target="/x",
                source="vol",
                volume_options=VolumeOptions(subpath="../etc"),
            ),
            "subpath must be a relative path",
        ),
        (Mount(type="tmpfs", target="/x", source="/a"), "field Source must not be specified"),
        (
            Mount(type="tmpfs", target="/x", tmpfs_options=TmpfsOptions(size_bytes=-1)),
            "invalid tmpfs",
        ),
        (Mount(type="image", target="/x"), "field Source must not be empty"),
    ],
)
def test_bad_mounts_are_refused_with_dockers_words(mount: Mount, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        mount_spec.parse_mount(mount)


def test_tmpfs_is_closed_unless_asked_otherwise() -> None:
    assert mount_spec.tmpfs_options("size=1m,exec") == ["nosuid", "nodev", "size=1m", "exec"]
    with pytest.raises(InvalidParameter, match='invalid tmpfs option "'):
        mount_spec.tmpfs_options("lowerdir=/etc")


def test_the_mode_u_maps_the_owner_and_goes_with_the_others() -> None:
    record = mount_spec.parse_bind("/data:/data:ro,U,Z")
    assert (record.map_owner, record.writable, record.relabel) == (True, False, "Z")
    assert mount_spec.parse_bind("named:/data:U").map_owner
    assert not mount_spec.parse_bind("/data:/data").map_owner
    with pytest.raises(InvalidParameter):
        mount_spec.parse_bind("/data:/data:U,U")
