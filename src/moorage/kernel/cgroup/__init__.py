"""Control groups: one contract over v1, v2 and the hybrid of both."""
