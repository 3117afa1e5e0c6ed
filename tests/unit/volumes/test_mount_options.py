import pytest

from moorage.kernel import mount as k
from moorage.lib.errors import InvalidParameter
from moorage.volumes import localoptions, mountoptions


@pytest.mark.parametrize(
    ("text", "flags", "propagation", "data"),
    [
        ("", 0, 0, ""),
        ("defaults", 0, 0, ""),
        ("bind", k.MS_BIND, 0, ""),
        ("rbind,ro", k.MS_BIND | k.MS_REC | k.MS_RDONLY, 0, ""),
        ("ro,rw", 0, 0, ""),
        ("rshared,size=64m,uid=1000", 0, k.MS_SHARED | k.MS_REC, "size=64m,uid=1000"),
        ("lowerdir=/a:/b,noatime", k.MS_NOATIME, 0, "lowerdir=/a:/b"),
    ],
)
def test_options_are_split_into_flags_propagation_and_data(
    text: str, flags: int, propagation: int, data: str
) -> None:
    assert mountoptions.parse(text) == mountoptions.MountOptions(flags, propagation, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foo": "bar"}, 'invalid option: "foo"'),
        ({"device": "tmpfs"}, 'missing required option: "type"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"o": "bind"}, "missing required option: "),
        ({"size": "lots"}, "invalid size: 'lots'"),
        ({"size": "0"}, "invalid size: '0'"),
    ],
)
def test_wrong_options_are_refused_in_dockers_words(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        localoptions.parse(options)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("options", "server"),
    [
        ({"type": "nfs", "device": ":/export", "o": "addr=nas.lan,rw"}, "nas.lan"),
        ({"type": "nfs4", "device": "nas.lan:/export", "o": "rw"}, "nas.lan"),
        ({"type": "nfs", "device": "[fd00::1]:/export", "o": ""}, "fd00::1"),
        ({"type": "cifs", "device": "//nas.lan/share", "o": "username=u"}, "nas.lan"),
        ({"type": "ext4", "device": "/dev/loop0", "o": ""}, ""),
    ],
)
def test_the_server_of_a_network_volume_is_found(options: dict[str, str], server: str) -> None:
    assert localoptions.parse(options).server == server


def test_the_address_takes_the_place_of_the_name_or_is_added() -> None:
    given = localoptions.parse({"type": "nfs", "device": ":/e", "o": "rw,addr=nas.lan,vers=4"})
    assert given.with_address("10.0.0.1").options == "rw,addr=10.0.0.1,vers=4"
    added = localoptions.parse({"type": "nfs", "device": "nas.lan:/e", "o": ""})
    assert added.with_address("10.0.0.1").options == "addr=10.0.0.1"


def test_passwords_are_hidden_in_messages() -> None:
    assert localoptions.redact("data: username=u,password=top,vers=3") == (
        "data: username=u,password=********,vers=3"
    )
