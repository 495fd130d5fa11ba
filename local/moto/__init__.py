"""AWS on a laptop: moto in server mode, and what it lacks of AWS, one module per behaviour.

Only these modules touch moto's private parts. Each says what AWS does and what moto does instead;
the tests that it names fail when a new version of moto breaks one.
"""

ACCOUNT = "123456789012"
REGION = "us-east-1"
"""Where moto makes everything."""
