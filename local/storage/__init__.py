"""The durable state of a stack: objects' bytes in files, everything else in one SQLite file."""
