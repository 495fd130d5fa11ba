"""Backbones, and the heads that depend on them."""
