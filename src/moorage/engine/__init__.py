"""All domains as one object, and what crosses them."""
