"""Heads: small models that are taught on the features of a backbone."""
