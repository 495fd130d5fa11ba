"""`facet pack`: make an artifact of a SavedModel or a Keras file."""
