"""`facet predict`: images from anywhere, labels in any form."""
