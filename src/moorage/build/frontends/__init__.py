"""Languages that become a build graph."""
