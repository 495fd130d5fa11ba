"""The multi-model container: SageMaker's HTTP interface over LiteRT and TensorFlow.

It answers as AWS's TensorFlow 2.20 inference image does in multi-model mode.
"""
