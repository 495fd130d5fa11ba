"""Images → the answers of one version, wherever it runs."""
