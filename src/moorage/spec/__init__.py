"""The standards as types: values only, no I/O, no policy."""
