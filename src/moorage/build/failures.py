"""How a build that failed is explained."""

from __future__ import annotations

from moorage.build.graph import Vertex
from moorage.lib.errors import MoorageError


class BuildFailed(MoorageError):
    """A step failed: what, where in the Dockerfile, and what the command said last."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 1,
        command: str = "",
        frame: str = "",
        vertex: Vertex | None = None,
        debug_image: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.command = command
        self.frame = frame
        self.vertex = vertex
        self.debug_image = debug_image
