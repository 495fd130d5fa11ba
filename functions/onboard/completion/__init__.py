"""What READY versions of earlier releases, or after accidents, lack."""
