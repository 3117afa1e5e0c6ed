"""Go's text/template, as far as people use it in ``--format``.

``lexer`` cuts text into tokens, ``parser`` makes the tree of ``nodes``, ``execute`` walks it over
``values``; ``functions`` and ``printing`` are the built-in functions and Go's ``fmt``.
"""
