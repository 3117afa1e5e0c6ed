"""Images: store, archives, registries, accounting."""
