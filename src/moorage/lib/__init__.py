"""Small helpers that know nothing of containers."""
