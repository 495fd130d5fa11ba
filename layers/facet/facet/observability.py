"""Structured logs, one line of JSON each, through AWS Lambda Powertools."""

from functools import cache

from aws_lambda_powertools import Logger


@cache
def logger() -> Logger:
    """The process's logger; level and service name come from Powertools' own variables."""
    return Logger()
