"""The Docker Engine API over HTTP: one module for each tag of its document."""
