"""Tar archives in and out of a directory that nobody can be led out of.

``extract`` and ``pack`` work below a root given by descriptor; every name inside an archive and
every symbolic link on the way is resolved inside that root (openat2 RESOLVE_IN_ROOT).
"""
