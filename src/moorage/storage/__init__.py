"""Blobs by digest, layers, snapshots and the one database."""
