"""nftables rules in tables of our own: what they are, and who keeps them right."""
