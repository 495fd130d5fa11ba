"""The Lambda function that removes and restores the endpoint on a schedule."""
