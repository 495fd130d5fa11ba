"""What models cost in each place where they may run."""
