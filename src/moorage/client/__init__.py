"""The operations of the engine, called over the socket."""
