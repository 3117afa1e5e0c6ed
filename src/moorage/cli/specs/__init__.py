"""The little languages of flag values: ``-p``, ``-v``, ``--mount``, ``--network``, devices, env.

Each parser raises ValueError with the words the user sees.
"""
