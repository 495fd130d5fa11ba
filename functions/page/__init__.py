"""The page's function: static files, without an API key."""
