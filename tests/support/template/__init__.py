"""The template as CloudFormation reads it, and the permissions that code needs."""
