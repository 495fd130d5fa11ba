"""Step Functions and SageMaker's training API, where moto does less than AWS."""
