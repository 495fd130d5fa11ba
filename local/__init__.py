"""Facet's own stack on a laptop: template.yaml carried out with no Docker and no account."""
