"""Addresses that a user or a server wrote."""

from __future__ import annotations

import pytest

from moorage.build import remotes
from moorage.lib import addresses
from moorage.lib.errors import InvalidParameter, System

NONE = ["https://[x/y", "https://a:99999/", "http://a:port/", "https://[::1:5/z"]


@pytest.mark.parametrize("url", NONE)
def test_what_is_no_address_is_the_fault_of_who_wrote_it(url: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid address"):
        addresses.checked(url)
    with pytest.raises(InvalidParameter, match="invalid address"):
        remotes.parse_git(url)
    with pytest.raises(System, match=r"reg\.lan names an address that is none"):
        addresses.follow("https://reg.lan/v2/", url)


def test_a_server_may_lead_on_by_a_whole_address_or_a_part_of_one() -> None:
    assert addresses.follow("https://a.lan/v2/x", "/y?z=1") == "https://a.lan/y?z=1"
    assert addresses.follow("https://a.lan/v2/x", "https://b.lan:5/y") == "https://b.lan:5/y"
