"""What commands share on the terminal: options, prompts, tables, progress."""
