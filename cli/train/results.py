"""Read what a training job evaluated: `metrics.json` in the job's output.tar.gz."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from cli.client.stack import Stack

METRICS = "metrics.json"
MAX_BYTES = 64 << 20
"""Of the archive and of `metrics.json`. A thousand labels make a matrix of 5 MB."""


@dataclass(frozen=True)
class TrainingResults:
    """Of a channel that the network was not trained on, `test` if there is one.

    `confusion`: counts of images, rows are the true labels. `examples`: one image of each label,
    as `<channel of the data set>/<label>/<name>`. `location`: of the output, with the charts.
    """

    channel: str
    labels: Sequence[str]
    confusion: Sequence[Sequence[int]]
    examples: Sequence[str]
    location: str

    @classmethod
    def parse(cls, document: Mapping[str, Any], location: str) -> Self:
        """Raises LookupError, TypeError."""
        channel = "test" if "test" in document["confusion"] else "validation"
        return cls(
            channel,
            [str(label) for label in document["labels"]],
            [[int(count) for count in row] for row in document["confusion"][channel]],
            [str(path) for path in document.get("examples", {}).get(channel, ())],
            location,
        )


def read(stack: Stack, job: str) -> TrainingResults | None:
    """Read a job's results; None if the job wrote none, as code of other authors need not."""
    described = stack.client("sagemaker").describe_training_job(TrainingJobName=job)
    location = f"{described['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job}/output"
    bucket, _, key = f"{location}/output.tar.gz".removeprefix("s3://").partition("/")
    try:
        found = stack.client("s3").get_object(Bucket=bucket, Key=key)
        packed = found["Body"].read() if found["ContentLength"] <= MAX_BYTES else b""
        return TrainingResults.parse(_metrics(packed), f"{location}/output.tar.gz")
    except (ClientError, tarfile.TarError, OSError, EOFError, ValueError, LookupError, TypeError):
        return None


def _metrics(packed: bytes) -> Mapping[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        member = archive.getmember(METRICS)
        file = archive.extractfile(member) if member.size <= MAX_BYTES else None
        document: Mapping[str, Any] = json.loads(file.read() if file else "{}")
        return document
