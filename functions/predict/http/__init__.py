"""HTTP requests and responses: bodies, tensors, problem documents, Open Inference Protocol."""
