"""Reading a model as its owner has it, and exporting it again where Facet needs that."""
