"""Verbs of ``moor manifest``."""
