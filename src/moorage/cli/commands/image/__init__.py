"""Verbs of ``moor image``."""
