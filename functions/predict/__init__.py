"""The API's function: an image in, labels out."""
