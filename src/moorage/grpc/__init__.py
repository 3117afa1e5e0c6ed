"""gRPC over a connection that is there already: messages, framing, calls both ways.

HTTP/2 itself is the library ``h2``'s (decision 0011); nothing here is loaded before a client of
BuildKit's protocol comes.
"""
