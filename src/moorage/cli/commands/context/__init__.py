"""Verbs of ``moor context``."""
