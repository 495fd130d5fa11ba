"""LiteRT: its C library, its interpreter, and what a model's file must be for the former."""
