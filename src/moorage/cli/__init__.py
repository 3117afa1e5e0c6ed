"""`moor`: the docker CLI's grammar."""
