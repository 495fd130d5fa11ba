"""Training in SageMaker's script mode: a folder of images in, an artifact out."""
