"""The upload's function: an artifact in, a proven and registered version out."""
