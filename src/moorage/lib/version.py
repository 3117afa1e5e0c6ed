"""The version of Moorage; ``pyproject.toml`` holds the same."""

from typing import Final

VERSION: Final = "0.1.0"
USER_AGENT: Final = f"moorage/{VERSION}"  # to registries, plugins and cluster stores
