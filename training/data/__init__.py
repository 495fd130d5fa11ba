"""Data sets: any source of pictures → the image-folder layout in the bucket."""
