"""Where a version runs: the places that answer for it, and which of them is asked."""
