"""What commands share towards a person: options, prompts, tables, progress."""
