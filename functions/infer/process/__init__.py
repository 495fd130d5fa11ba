"""The process that runs models: how the function's own process starts it, and what runs in it."""
