"""SageMaker's platform around the multi-model container."""
