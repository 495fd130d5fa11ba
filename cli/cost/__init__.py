"""What models cost: an endpoint for each, or one for all."""
