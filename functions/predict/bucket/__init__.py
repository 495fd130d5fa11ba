"""What clients get from the bucket, or put into it: uploads, and images of golden samples."""
