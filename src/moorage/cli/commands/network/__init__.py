"""Verbs of ``moor network``."""
