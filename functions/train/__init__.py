"""The steps of the training state machine that take a decision."""
