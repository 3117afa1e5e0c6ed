"""Measurements beside other engines; not part of the product."""
