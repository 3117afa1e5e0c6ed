"""From an OCI spec to a process under its monitor."""
