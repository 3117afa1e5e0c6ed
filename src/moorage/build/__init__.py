"""The builder: frontends, graph, solver, cache, exporters."""
