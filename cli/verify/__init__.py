"""`facet verify`: carry out what Facet assumes about AWS on a stack, and report what was seen."""
