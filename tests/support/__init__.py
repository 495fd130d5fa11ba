"""What several tests share: fakes, small artifacts, running stacks."""
