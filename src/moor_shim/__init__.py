"""The monitor of one container: a program of its own that outlives the daemon."""
