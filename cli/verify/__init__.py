"""`facet verify`: test on a stack what Facet assumes about AWS, and report what was seen."""
