"""Devices by the Container Device Interface: vendors' files, and what they change in a container.

``directories`` reads the files, ``catalogue`` knows what is in them, ``requests`` finds the devices
that a container asks for, ``injection`` puts them into its OCI specification.
"""
