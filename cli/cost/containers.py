"""The containers that the endpoint may run, and how many models each has room for."""

import math
import re
from dataclasses import dataclass
from typing import Literal

Serving = Literal["facet", "aws"]
"""As `make deploy SERVING=…`."""

AWS_IMAGE = re.compile(r"\.amazonaws\.com(\.cn)?/tensorflow-inference[:@]")
"""AWS's image in AWS's registries: the template's default, and the tags and digests beside it."""


@dataclass(frozen=True)
class Container:
    """A container. A loaded model takes `model_mb` (10⁶ bytes), measured as `source` says.

    With one model it takes `alone_mb`. It holds `most` models at most, by `limit`.
    """

    title: str
    model_mb: float
    alone_mb: float
    source: str
    most: float = math.inf
    limit: str = ""


CONTAINERS: dict[Serving, Container] = {
    "facet": Container(
        "Facet's container",
        5.4,
        56,
        "docs/benchmarks.md, Loading, and memory",
    ),
    "aws": Container(
        "AWS's TensorFlow image",
        204,
        643,
        "docs/benchmarks.md, Loading, and memory: AWS Multi Model Server, also a process a model",
        449,
        "its ports: docs/decisions/0019-own-container-or-aws.md",
    ),
}


def of_image(uri: str) -> Serving:
    """The container of a stack with this `ServingImageUri`; empty means AWS's image."""
    return "aws" if not uri or AWS_IMAGE.search(uri) else "facet"
