"""What computes a model: LiteRT or TensorFlow, behind one protocol."""
