"""`facet logs`: what functions, endpoint and training jobs have written."""
