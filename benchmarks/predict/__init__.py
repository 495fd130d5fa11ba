"""The predict function: one picture → the body of the invocation, and how it starts."""
