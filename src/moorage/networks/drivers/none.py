"""Networks without interfaces: ``none`` (an empty namespace) and ``host`` (no namespace)."""

from __future__ import annotations

from moorage.lib.errors import Forbidden
from moorage.networks.drivers.contract import LocalDriver
from moorage.networks.records import Endpoint, NetworkRecord
from moorage.networks.sandbox import Wire


class Bare(LocalDriver):
    """A driver of one predefined network: nothing to make, nothing to plug in."""

    scope = "local"
    addressed = False
    translated = False

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, network: NetworkRecord) -> NetworkRecord:
        """Refuse: there is one of each, and it is there."""
        raise Forbidden(f'only one instance of "{network.driver}" network is allowed')

    async def create(self, network: NetworkRecord) -> NetworkRecord:
        """Nothing to make."""
        return network

    async def remove(self, network: NetworkRecord) -> None:
        """Nothing to unmake."""

    def wire(self, network: NetworkRecord, endpoint: Endpoint, *, hairpin: bool) -> Wire | None:
        """Nothing to plug in."""
        del network, endpoint, hairpin
        return None
