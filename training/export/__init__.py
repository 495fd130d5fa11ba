"""Exports a trained network as an artifact: graph, golden sample, manifest."""
