"""The function that runs a LiteRT model: one model and one batch an invocation."""
