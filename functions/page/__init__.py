"""The Lambda function of the web page and the API reference: static files, without an API key."""
