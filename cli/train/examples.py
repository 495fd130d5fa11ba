"""A new model, asked about images of the data set that it was trained on."""

from collections.abc import Iterator

from cli.client.api import MAX_WAIT, RetryBudget, connect
from cli.client.stack import Stack
from cli.predict.batches import EncodedImage, batches
from cli.predict.results import Question, Result, answers
from cli.terminal.output import Output
from cli.train.execution import Report
from facet.keys import dataset_prefix

SHOWN = 10
"""So many images are asked about, each of another label."""

LABELS = 3
"""So many does each answer have."""


def ask(stack: Stack, output: Output, report: Report, dataset: str) -> list[Result]:
    """What the new version says to one image of each label.

    Raises ApiError, ApiUnreachable, NoStack.
    """
    api = connect(stack, RetryBudget(MAX_WAIT, on_first_wait=output.remark))
    question = Question(report["model"], LABELS, report["version"])
    images = examples(stack, dataset)
    return [each for batch in batches(images) for each in answers(api, question, batch)]


def examples(stack: Stack, dataset: str) -> Iterator[EncodedImage]:
    """The first image of each label, of channel `test` where there is one."""
    s3 = stack.client("s3")
    for channel in ("test", "validation", "train"):
        prefix = dataset_prefix(dataset, channel)
        found = s3.list_objects_v2(Bucket=stack.bucket, Prefix=prefix, Delimiter="/")
        folders = found.get("CommonPrefixes", [])
        for folder in folders[:SHOWN]:
            listed = s3.list_objects_v2(Bucket=stack.bucket, Prefix=folder["Prefix"], MaxKeys=1)
            key = listed["Contents"][0]["Key"]
            content = s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read()
            yield EncodedImage(key.removeprefix(dataset_prefix(dataset)), content)
        if folders:
            return
