"""Verbs of ``moor swarm``, and what stands for all of a swarm's other commands."""
