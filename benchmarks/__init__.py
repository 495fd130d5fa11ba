"""Benchmarks, each a script that writes its part of docs/benchmarks.md."""
