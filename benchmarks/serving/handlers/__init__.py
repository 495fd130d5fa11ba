"""What runs inside the servers that Facet is compared with, under their own interpreters."""
