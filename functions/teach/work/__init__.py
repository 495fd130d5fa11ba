"""The work of a teaching: images → features → a fitted head → an upload. Begin in `teaching.py`."""
