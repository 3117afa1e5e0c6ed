"""The whole life of a container, one module for each operation."""
