"""The Lambda function of the API: an image in, labels out."""
