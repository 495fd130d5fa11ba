"""`facet doctor`: what is missing on this machine, or wrong with a deployed stack."""
