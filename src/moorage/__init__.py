"""Moorage: a container engine. See docs/architecture.md for the map of the packages."""
