"""The runtimes that compute models, LiteRT and TensorFlow, behind one protocol."""
