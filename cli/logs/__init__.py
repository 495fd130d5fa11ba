"""`facet logs`: print logs of functions, endpoint and training jobs."""
