"""Volumes: what containers remember."""
