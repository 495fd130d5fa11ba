"""`facet teach`: a model from a folder of images for each label, in seconds."""
