"""BuildKit's protocol in front of our own builder: what buildx and compose speak.

``control``  the service ``moby.buildkit.v1.Control``: solves, their progress, the cache
``gateway``  ``LLBBridge``: a client that drives its solve from outside, as buildx does
``session``  the connection back to the client: files, secrets, agents, credentials, outputs
``wire``     the messages
"""
