"""`facet predict`: pictures from anywhere, labels in any form."""
