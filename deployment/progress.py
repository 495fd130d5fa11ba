"""What a person reads while an image is built."""

import sys


class ImageError(Exception):
    """Why there is no image to deploy: what happened and what to do, in full sentences."""


def say(words: str) -> None:
    """Reports progress on standard error; standard output has nothing but the image's URI."""
    print(words, file=sys.stderr, flush=True)
