"""The fenced blocks of README.md, and which of them the tests cannot run.

The word after `bash` in a fence's info string marks a block that needs something that a test does
not have: GitHub ignores it. A block without such a word is run by tests/journeys/test_readme.py.
"""

import re
from typing import NamedTuple

NOT_RUN = {
    "start": "starts the stack that the other blocks use, and all tests",
    "training": "trains models, which takes minutes and downloads CIFAR-10",
    "account": "deploys to an AWS account",
}
"""The marks, and why such a block is not run."""


class Fence(NamedTuple):
    """A fenced block: its language, its mark (or an empty string), and its lines."""

    language: str
    mark: str
    text: str


def fences(text: str) -> list[Fence]:
    """All fenced blocks of a document, in order."""
    found = re.findall(r"^```(\w*) ?([\w-]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), "a fence is not read"
    return [Fence(*each) for each in found]
