"""Bound what a connection costs before and after its requests: parsing, waiting, writing."""
