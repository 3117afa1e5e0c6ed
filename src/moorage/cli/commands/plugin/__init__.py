"""Verbs of ``moor plugin``."""
