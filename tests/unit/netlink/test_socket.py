"""Requests in batches, to the kernel of this machine; none of them changes anything."""

from __future__ import annotations

import errno

from moorage.netlink import link
from moorage.netlink.nlsocket import NetlinkSocket


def test_more_requests_than_the_socket_has_room_for_are_all_answered() -> None:
    requests = [link.set_mtu(f"mg-none{number}", 1500) for number in range(4000)]
    with NetlinkSocket() as sock:
        refused = sock.run_each(requests)
    assert {failure.errno for failure in refused} <= {errno.ENODEV, errno.EPERM}
    assert [failure.index for failure in refused] == list(range(4000))
