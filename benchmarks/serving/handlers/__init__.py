"""Code that runs inside the peers' servers, under their own interpreters."""
