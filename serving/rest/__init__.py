"""TensorFlow Serving's REST format: JSON → arrays → JSON.

Source: tensorflow/serving, util/json_tensor.cc and servables/tensorflow/{classifier,regressor}.cc.
"""
