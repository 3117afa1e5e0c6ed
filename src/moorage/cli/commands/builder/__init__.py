"""Verbs of ``moor builder``."""
