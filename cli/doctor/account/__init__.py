"""Check an account before a deploy: would it succeed, and what would surprise?"""
