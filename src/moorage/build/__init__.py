"""The builder: a Dockerfile becomes a graph of content-addressed vertices, the solver runs it."""
