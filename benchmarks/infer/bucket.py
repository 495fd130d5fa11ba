"""A local S3 with models, and events for the function."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.file_server import file_server
from facet.keys import lite_key
from facet.preprocess import Pixels

BUCKET = "models"
VERSION = "0123456789ab"
MEMORY = 1769
"""MB of the function: template.yaml's default, which comes with one vCPU."""


@dataclass
class Context:
    """Lambda's context, with as much time as the template gives by default."""

    aws_request_id: str = "benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 25_000


@contextmanager
def served(folder: Path, models: Mapping[str, bytes]) -> Iterator[str]:
    """The URL of an S3 that has these models by name, as files in the folder."""
    for name, content in models.items():
        path = folder / BUCKET / lite_key(name, VERSION)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with file_server(folder) as url:
        yield url


def variables(url: str, folder: Path, memory: int = MEMORY) -> dict[str, str]:
    """The function's environment. Its disk is in `folder`, its memory in MB."""
    return {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "FACET_BUCKET": BUCKET,
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        "TMPDIR": str(folder),
    }


def event(name: str, content: bytes, images: Sequence[Pixels]) -> dict[str, Any]:
    """The event that asks a model about some images."""
    rows = [{"image": {"b64": base64.b64encode(each.tobytes()).decode()}} for each in images]
    return {
        "key": lite_key(name, VERSION),
        "sha256": hashlib.sha256(content).hexdigest(),
        "request": {"instances": rows},
        "request_id": "benchmark",
    }
