"""The package that functions, training, command line and local stack share."""
