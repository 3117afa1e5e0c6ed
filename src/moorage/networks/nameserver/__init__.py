"""The embedded name server: a program of its own that outlives the daemon; stdlib only."""
