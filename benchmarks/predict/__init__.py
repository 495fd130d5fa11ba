"""The predict function: one image → the body of the invocation, and how it starts."""
