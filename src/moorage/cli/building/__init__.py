"""``moor build``: what is sent, and how the progress looks."""
