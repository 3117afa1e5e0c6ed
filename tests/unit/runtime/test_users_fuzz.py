"""``user[:group]`` against files that an image brings: nobody becomes who was not named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.runtime.users import UserFiles, look_up

TEXTS = st.text(alphabet="root:x0123456789\n#-²\0 ,", max_size=60)
REQUESTS = st.text(alphabet="rot:0123456789-²\n ", max_size=14)


@given(REQUESTS, TEXTS, TEXTS)
def test_any_files_give_numbers_in_range_or_a_refusal(user: str, passwd: str, group: str) -> None:
    try:
        found = look_up(user, UserFiles(passwd, group))
    except InvalidParameter:
        return
    assert 0 <= found.uid < 1 << 31
    assert all(0 <= gid < 1 << 31 for gid in (found.gid, *found.groups))
    assert found.groups[0] == found.gid


@given(st.integers(1, (1 << 31) - 1), TEXTS)
def test_a_number_that_no_line_names_is_itself(number: int, passwd: str) -> None:
    files = UserFiles("\n".join(line for line in passwd.split("\n") if str(number) not in line))
    assert look_up(str(number), files).uid == number


def test_a_number_longer_than_any_is_none() -> None:
    endless = "9" * 5000
    assert look_up("x", UserFiles(f"x:x:{endless}:0:::\nx:x:7:7:::")).uid == 7
    with pytest.raises(InvalidParameter, match="unable to find user"):
        look_up(endless, UserFiles())
    with pytest.raises(InvalidParameter, match="unable to find group"):
        look_up(f"0:{endless}", UserFiles(group=f"x:x:{endless}:"))
