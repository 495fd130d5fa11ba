"""The assumptions that verify tries, grouped by the part of the stack that they concern."""
