"""Storage drivers behind one contract."""
