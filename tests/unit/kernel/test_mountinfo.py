"""What /proc/PID/mountinfo says, whatever the names in it are."""

from __future__ import annotations

from moorage.kernel import mount

LINE = "36 35 98:0 / {target} rw,noatime master:1 - ext4 {source} rw,errors=continue\n"


def test_names_may_hold_other_ends_of_a_line() -> None:
    odd = "/mnt/a\rb\x0bc\x0cd\x1ce\x85f\u2028g"
    text = LINE.format(target=odd, source="/dev/sda") + LINE.format(target="/b", source="/dev/sdb")
    assert [info.target for info in mount.parse_mountinfo(text)] == [odd, "/b"]


def test_escapes_are_undone_once() -> None:
    text = LINE.format(target="/a\\040b\\134040", source="//server/share\\0431")
    (info,) = mount.parse_mountinfo(text)
    assert info.target == "/a b\\040"
    assert info.source == "//server/share#1"
