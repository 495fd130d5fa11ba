"""Heads on one backbone: many of them under traffic, and what teaching one takes."""
