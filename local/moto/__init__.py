"""AWS on a laptop: moto in server mode, and what Facet adds to it, one module per AWS behaviour."""
