"""Client of an existing cluster store; no consensus of our own."""
