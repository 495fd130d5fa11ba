"""The proof of a version: what is asked of it before any client is answered, and where."""
