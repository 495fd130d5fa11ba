"""`facet pack`: any SavedModel or Keras file → an artifact."""
