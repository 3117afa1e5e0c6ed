"""The version of Moorage; ``pyproject.toml`` holds the same."""

from typing import Final

VERSION: Final = "0.1.0"
