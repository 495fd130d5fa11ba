"""Read SavedModels and Keras files, and export them again if Facet needs another signature."""
