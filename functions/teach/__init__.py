"""Teaching: images with labels in, a head on a backbone out. The routes; the work is in `work/`."""
