"""What happened, to whom, since when."""
