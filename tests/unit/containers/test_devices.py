"""Rules of the device controller, as ``--device-cgroup-rule`` gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.containers import devices
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.hostconfig import DeviceMapping

NUMBERS = st.none() | st.integers(0, (1 << 63) - 1)


@given(st.sampled_from("acb"), NUMBERS, NUMBERS, st.sampled_from(["r", "rw", "rwm", "m"]))
def test_a_rule_says_what_is_allowed(
    kind: str, major: int | None, minor: int | None, access: str
) -> None:
    shown = ["*" if number is None else str(number) for number in (major, minor)]
    (rule,) = devices.parse_rules([f"{kind} {':'.join(shown)} {access}"])
    assert (rule.allow, rule.type, rule.major, rule.minor, rule.access) == (
        *(True, kind, major, minor),
        access,
    )


@given(st.text(alphabet="acb *:0123456789-rwm\n", max_size=30))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        (rule,) = devices.parse_rules([text])
    except InvalidParameter:
        return
    assert rule.type is not None
    assert text.startswith(rule.type)
    assert set(rule.access or "") <= set("rwm")


@pytest.mark.parametrize("text", ["c 9223372036854775808:1 r", "c 1:" + "9" * 5000 + " r"])
def test_a_number_of_more_than_64_bits_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"invalid (major|minor) value in device"):
        devices.parse_rules([text])


def test_a_device_whose_name_begins_as_another_s_has_its_own_permissions() -> None:
    given = devices.resolve(
        [
            DeviceMapping(
                path_on_host="/dev/zero", path_in_container="/dev/x", cgroup_permissions="r"
            ),
            DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/x1"),
        ]
    )
    assert [rule.access for rule in given.rules] == ["r", "rwm"]
