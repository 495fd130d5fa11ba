"""What a model computes: readers of SavedModel graphs and LiteRT files, and the policy on ops."""
