"""What the hosts of a cluster tell one another, and under which keys of the store.

``<prefix>/generation``                   changes with every network made or removed
``<prefix>/networks/<id>``                a ``NetworkRecord``
``<prefix>/nodes/<node>``                 a ``Node``; ends with the host's lease
``<prefix>/endpoints/<network>/<container>``  a ``Member``; ends with the host's lease
``<prefix>/addresses/<network>/<address>``    the node that holds it; ends with a longer lease

A dead host's names and forwarding entries go after seconds. Its addresses stay its own for
minutes: a host that is merely cut off goes on using them, and cuts itself off from the network
before they can be given to others. So no address is ever in use twice.
"""

from __future__ import annotations

from msgspec import Struct


class Node(Struct, frozen=True, kw_only=True):
    """A host of the cluster."""

    id: str
    name: str
    address: str  # where VXLAN packets for it go
    wireguard_key: str = ""  # public, base64
    wireguard_port: int = 0


class Member(Struct, frozen=True, kw_only=True):
    """A container on an overlay network."""

    network: str
    container: str
    node: str
    name: str
    mac: str
    endpoint: str = ""
    ipv4: str = ""  # without prefix length
    ipv6: str = ""
    names: list[str] = []

    @property
    def addresses(self) -> list[str]:
        """Both addresses, as far as there are."""
        return [text for text in (self.ipv4, self.ipv6) if text]


class Keys:
    """The keys of one cluster."""

    def __init__(self, prefix: str) -> None:
        self.all = f"/{prefix.strip('/')}/"
        self.generation = f"{self.all}generation"
        self.networks = f"{self.all}networks/"
        self.nodes = f"{self.all}nodes/"
        self.endpoints = f"{self.all}endpoints/"
        self.addresses = f"{self.all}addresses/"

    def network(self, network_id: str) -> str:
        """Return the key of a network."""
        return f"{self.networks}{network_id}"

    def node(self, node_id: str) -> str:
        """Return the key of a host."""
        return f"{self.nodes}{node_id}"

    def endpoint(self, network_id: str, container_id: str) -> str:
        """Return the key of a container on a network."""
        return f"{self.endpoints}{network_id}/{container_id}"

    def address(self, network_id: str, address: str) -> str:
        """Return the key of an address."""
        return f"{self.addresses}{network_id}/{address}"
