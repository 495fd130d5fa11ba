"""S3, where moto does less than AWS or forgets."""
