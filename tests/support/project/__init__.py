"""The project's own texts: commands in the manual, README.md, pins."""
