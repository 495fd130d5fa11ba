"""What Facet is given: artifacts and images, valid and hostile."""
