"""What becomes of a finished build: an image in the store, a directory, an archive, a push."""
