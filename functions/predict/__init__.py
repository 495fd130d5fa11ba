"""The API's function: a picture in, labels out."""
