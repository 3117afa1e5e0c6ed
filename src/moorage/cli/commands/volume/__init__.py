"""Verbs of ``moor volume``."""
