"""System calls under their own names, without policy."""
