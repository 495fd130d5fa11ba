"""Benchmarks of the predict function: preparing one image, and its cold start."""
