"""Measurements, each a script; their results are in docs/benchmarks.md."""
