"""Files of COPY and ADD: finding, hashing and copying them by descriptor, below a root.

A path that a Dockerfile, a context or an image gave is opened below the root it belongs to
(openat2), never joined to a host path; links are followed inside of that root only.
"""
