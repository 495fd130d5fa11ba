"""API Gateway for the routes of template.yaml."""
