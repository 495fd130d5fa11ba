"""What the functions behind the API share: problem documents, and headers for other origins."""
