"""Data sets: any source of images → the image-folder layout in the bucket."""
