"""Cleaned images → pixels: what browsers show, within a bounded amount of memory."""
