"""Training in SageMaker's script mode: a folder of pictures in, an artifact out."""
