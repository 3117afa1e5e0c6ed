"""The build cache on its way between machines (``--cache-to``, ``--cache-from``).

``document``  what is written: which keys gave which layer
``outgoing``  into an image (inline), a directory of the client (local), a registry
``incoming``  and back: records are known at once, a layer is fetched when a step hits it
"""
