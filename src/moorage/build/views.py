"""Read-only mounts of image layers for as long as an operation looks at them.

Each leaves a mark in ``exec-root/build/views/`` before it is mounted, so that a daemon that was
killed meanwhile is followed by one that knows what to unmount.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moorage.lib import ids
from moorage.spec.digest import Digest
from moorage.storage.layers import LayerStore


class Views:
    """Makes views. Blocking."""

    def __init__(self, layers: LayerStore, marks: Path) -> None:
        self._layers = layers
        self._marks = marks

    @contextmanager
    def view(self, chain_id: Digest | None) -> Iterator[Path]:
        """Lend the tree of a stack."""
        key = self.mount(chain_id)
        try:
            yield self._layers.mount_view(key, chain_id)
        finally:
            self.unmount(key)

    def mount(self, chain_id: Digest | None, *, mapped: bool = False) -> str:
        """Mount a stack, *mapped*: as containers see owners; return the key of the view."""
        key = f"build-{ids.token()}"
        (self._marks / key).touch()
        self._layers.mount_view(key, chain_id, mapped=mapped)
        return key

    def path(self, key: str, chain_id: Digest | None, *, mapped: bool = False) -> Path:
        """Return where a view is."""
        return self._layers.mount_view(key, chain_id, mapped=mapped)

    def unmount(self, key: str) -> None:
        """Undo ``mount``; unknown is fine."""
        self._layers.unmount_view(key)
        (self._marks / key).unlink(missing_ok=True)

    def recover(self) -> None:
        """Unmount what a former daemon left."""
        self._marks.mkdir(mode=0o700, parents=True, exist_ok=True)
        for mark in list(self._marks.iterdir()):
            self.unmount(mark.name)
