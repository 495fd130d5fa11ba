"""Builds the image of Facet's container in an AWS account, before `make deploy` deploys it."""
