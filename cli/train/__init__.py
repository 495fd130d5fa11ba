"""`facet train`: an execution of the training state machine, followed to its end."""
