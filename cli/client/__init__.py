"""How commands reach a stack: its resources, its API, its bucket."""
