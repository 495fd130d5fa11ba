"""The registry: models, their versions, and which version is live."""
