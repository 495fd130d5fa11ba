"""HTTP requests and answers: bodies, tensors, problem documents, the Open Inference Protocol."""
