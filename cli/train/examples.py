"""Let a new version classify images of its data set that it was not trained on."""

from collections.abc import Iterator, Sequence

from cli.client.api import MAX_WAIT, RetryBudget, connect
from cli.client.stack import Stack
from cli.predict.batches import EncodedImage, batches
from cli.predict.results import PredictionOptions, Result, predict_batch
from cli.terminal.output import Output
from cli.train.execution import JobReport
from cli.train.results import TrainingResults
from facet.keys import dataset_prefix

HELD_OUT = ("test", "validation")
"""Channels of a data set that no job trains on."""

MAX_EXAMPLES = 10
"""Images to classify, each of another label."""

LABELS = 3
"""Labels of each answer."""


def ask(
    stack: Stack,
    output: Output,
    report: JobReport,
    dataset: str,
    results: TrainingResults | None,
) -> list[Result]:
    """Classify one image of each label with the new version, which was not trained on it.

    Raises ApiError, ApiUnreachable, NoStack.
    """
    api = connect(stack, RetryBudget(MAX_WAIT, on_first_wait=output.remark))
    question = PredictionOptions(report["model"], LABELS, report["version"])
    keys = [dataset_prefix(dataset) + path for path in results.examples] if results else []
    images = examples(stack, dataset, keys[:MAX_EXAMPLES] or held_out(stack, dataset))
    return [each for batch in batches(images) for each in predict_batch(api, question, batch)]


def held_out(stack: Stack, dataset: str) -> list[str]:
    """List the key of each label's first image in the data set's own test or validation channel.

    A data set with only the channel `train` has none: the training job draws its held-out images.
    """
    s3 = stack.client("s3")
    for channel in HELD_OUT:
        prefix = dataset_prefix(dataset, channel)
        found = s3.list_objects_v2(Bucket=stack.bucket, Prefix=prefix, Delimiter="/")
        if folders := found.get("CommonPrefixes", []):
            pages = (
                s3.list_objects_v2(Bucket=stack.bucket, Prefix=folder["Prefix"], MaxKeys=1)
                for folder in folders[:MAX_EXAMPLES]
            )
            return [page["Contents"][0]["Key"] for page in pages]
    return []


def examples(stack: Stack, dataset: str, keys: Sequence[str]) -> Iterator[EncodedImage]:
    """Read images of the data set."""
    s3 = stack.client("s3")
    for key in keys:
        content = s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read()
        yield EncodedImage(key.removeprefix(dataset_prefix(dataset)), content)
