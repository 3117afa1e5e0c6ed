"""Values of the Docker Engine API."""
