"""The function that runs LiteRT models: its cold start by parts, and a thousand models in it."""
