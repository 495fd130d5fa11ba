"""Reading and screening what a model computes: SavedModel graphs and LiteRT files."""
