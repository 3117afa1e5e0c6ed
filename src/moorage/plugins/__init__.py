"""Docker's plugin protocol: discovery and calls."""
