"""A trained network as an artifact: its graph, its golden sample, its manifest."""
