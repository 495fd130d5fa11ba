"""Benchmark: ten thousand models behind one endpoint of the local stack."""
