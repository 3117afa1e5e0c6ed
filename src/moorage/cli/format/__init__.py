"""Listings: tables, templates and JSON, and the columns of each kind of object."""
