"""The daemon process: configuration, listeners, signals, wiring."""
