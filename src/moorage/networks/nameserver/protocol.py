"""What the daemon tells the name server: packets of JSON, with sockets where they are handed over.

The conversation, over a SOCK_SEQPACKET socket in exec-root that only root can reach::

    daemon                                        name server
      | {"op": "hello"} ------------------------------> |
      | <--- {"version": 2, "sandboxes": [id, …]}       |
      | {"op": "begin"} ------------------------------> |  a full account follows
      | {"op": "network", network, name} ------------------> |
      | {"op": "member", network, container, names, addresses}
      | {"op": "view", sandbox, …} -------------------> |
      | {"op": "commit"} -----------------------------> |  it holds from here on
      | {"op": "add", sandbox} + udp, tcp, netns -----> |
      | {"op": "remove", sandbox} --------------------> |
      | {"op": "gone", network[, container]} ---------> |
      | {"op": "leases", …} -------------------------> |  see ``leases``
      | {"op": "exit"} -------------------------------> |

Between ``begin`` and ``commit`` the old account is served; the questions of a sandbox whose view
has not been told wait in its sockets. When the daemon goes away, everything goes on as it was.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 2
MAX_PACKET: Final = 1 << 17
