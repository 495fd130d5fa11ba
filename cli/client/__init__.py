"""How commands connect a stack: its resources, its API, its bucket."""
