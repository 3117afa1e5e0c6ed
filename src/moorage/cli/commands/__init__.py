"""One module for each command: <noun>/<verb>.py."""
