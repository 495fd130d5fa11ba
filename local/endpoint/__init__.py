"""SageMaker's part of a multi-model endpoint: download, disk cache, load, invoke, unload."""
