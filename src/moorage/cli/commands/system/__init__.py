"""Verbs of ``moor system``."""
