"""Which volumes ``volume prune`` takes; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from moorage.spec.engine.filters import Filters
from moorage.volumes.record import VolumeRecord

_FILTERS: Final = ("all", "label", "label!")


class Selection:
    """The condition of one prune: anonymous ones unless ``all``, and the label filters."""

    def __init__(self, filters: Filters) -> None:
        """Check *filters*. Raises: InvalidParameter."""
        filters.require_known(_FILTERS)
        self._all = filters.flag("all")
        self._filters = filters

    def takes(self, record: VolumeRecord, *, local: bool) -> bool:
        """Whether an unused volume is to go; those of plugins stay, as Docker leaves them."""
        return (
            local
            and record.ready
            and (self._all or record.anonymous)
            and self._filters.labels(record.labels)
            and not self._excluded(record.labels)
        )

    def _excluded(self, labels: Mapping[str, str] | None) -> bool:
        return "label!" in self._filters and self._filters.labels(labels, "label!")
