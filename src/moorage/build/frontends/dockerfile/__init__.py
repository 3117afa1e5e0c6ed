"""The Dockerfile language.

``lexer``         text -> logical lines (escape, continuation, comments, heredocs, directives)
``words``         splitting and expanding words (quotes, ``$NAME``, ``${NAME<modifier>}``)
``flags``         ``--name=value`` in front of the arguments
``instructions``  the typed instructions
``parser``        logical lines -> instructions -> stages
``lint``          Docker's checks
``convert``       the stages a target needs -> build graph and image config
"""
