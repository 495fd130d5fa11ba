"""Reading and validating an artifact (`model.tar.gz`), without unpacking it to disk."""
