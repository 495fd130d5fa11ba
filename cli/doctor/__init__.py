"""`facet doctor`: check this machine, or a deployed stack."""
