"""Network drivers behind one contract."""
