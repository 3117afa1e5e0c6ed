"""What the operations of the graph do (sources, COPY, RUN), and the worker the solver drives."""
