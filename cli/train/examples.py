"""Let a new version classify images of the data set that it was trained on."""

from collections.abc import Iterator

from cli.client.api import MAX_WAIT, RetryBudget, connect
from cli.client.stack import Stack
from cli.predict.batches import EncodedImage, batches
from cli.predict.results import PredictionOptions, Result, predict_batch
from cli.terminal.output import Output
from cli.train.execution import JobReport
from facet.keys import dataset_prefix

MAX_EXAMPLES = 10
"""Images to classify, each of another label."""

LABELS = 3
"""Labels of each answer."""


def ask(stack: Stack, output: Output, report: JobReport, dataset: str) -> list[Result]:
    """Classify one image of each label with the new version.

    Raises ApiError, ApiUnreachable, NoStack.
    """
    api = connect(stack, RetryBudget(MAX_WAIT, on_first_wait=output.remark))
    question = PredictionOptions(report["model"], LABELS, report["version"])
    images = examples(stack, dataset)
    return [each for batch in batches(images) for each in predict_batch(api, question, batch)]


def examples(stack: Stack, dataset: str) -> Iterator[EncodedImage]:
    """Yield each label's first image, from the channel `test` if it exists."""
    s3 = stack.client("s3")
    for channel in ("test", "validation", "train"):
        prefix = dataset_prefix(dataset, channel)
        found = s3.list_objects_v2(Bucket=stack.bucket, Prefix=prefix, Delimiter="/")
        folders = found.get("CommonPrefixes", [])
        for folder in folders[:MAX_EXAMPLES]:
            listed = s3.list_objects_v2(Bucket=stack.bucket, Prefix=folder["Prefix"], MaxKeys=1)
            key = listed["Contents"][0]["Key"]
            content = s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read()
            yield EncodedImage(key.removeprefix(dataset_prefix(dataset)), content)
        if folders:
            return
