"""The command `facet`: artifacts, versions and stacks, on this machine and in an account."""
