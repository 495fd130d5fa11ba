"""The OpenAPI document: built by `make openapi`, served by the page function."""
