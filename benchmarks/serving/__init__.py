"""Facet's container against other multi-model servers, side by side in one run.

    python -m benchmarks.serving [PART …] [--servers KEY …] [--seconds S]

Linux only: memory is read from /proc.
"""
