"""Models that harm the process: those that end it, and those that never end."""
