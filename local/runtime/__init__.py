"""Lambda functions from their sources: worker processes, and asynchronous invocations."""
