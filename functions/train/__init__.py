"""The Lambda function of the training state machine."""
