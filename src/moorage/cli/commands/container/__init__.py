"""Verbs of ``moor container``."""
