"""Processes of their own: environments, sandboxes, servers, memory, and how they end."""
