"""`facet train`: start an execution of the training state machine and follow it to its end."""
