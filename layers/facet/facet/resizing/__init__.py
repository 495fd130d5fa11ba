"""How an image is brought to the input's size: Pillow's filters, TensorFlow's, OpenCV's.

`fit` has the geometry: stretch, crop, pad. `tensorflow` and `opencv` restate those libraries'
resize functions in NumPy, because the predict function has no room for the libraries themselves.
"""
