"""Facet's shared package: what functions, training and tests all need, and nothing more."""
