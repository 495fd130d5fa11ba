"""The multi-model container: SageMaker's HTTP contract over LiteRT and TensorFlow.

The contract is the one of AWS's TensorFlow 2.20 inference image in multi-model mode.
"""
