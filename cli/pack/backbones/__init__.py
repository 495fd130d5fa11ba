"""`facet pack --backbone`: make an artifact of a network that computes features."""
