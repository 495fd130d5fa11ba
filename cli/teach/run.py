"""Teach one model: upload its data set, start the teaching, follow it, wait for the version."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.client.api import Api, Document, connect, parse
from cli.client.stack import Stack
from cli.data import bucket_of, change_summary, upload_data_set
from cli.teach.api import PUBLISHED, Teaching, follow
from cli.teach.refusal import CLASSIFIER, HEAD, check_images, check_kind, check_not_running
from cli.teach.report import print_report
from cli.terminal.output import Output
from cli.terminal.progress import spinner
from cli.train.command import settings_of
from cli.train.report import where
from cli.train.run import Training
from cli.train.run import run as train
from cli.watch import WatchTarget, version_document, version_lines, wait_for
from facet.registry.heads.backbones import Backbones
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from teach.data_sets import CHANNEL
from teach.work.rules import MAX_IMAGES
from training.data.check import trainable
from training.data.layout import ImageFolder
from training.data.source import DataSource

LOCAL_INTERVAL, DEPLOYED_INTERVAL = 0.25, 1.0
"""Seconds between two polls: of the local stack, of a deployed one."""


@dataclass(frozen=True)
class Lesson:
    """What to teach: `model` on the data set `images`, which is uploaded first if `upload`.

    `options` go into the request. `fine_tune`: a training job trains a network instead.
    `minimum` is the lowest acceptable accuracy, None for the default.
    """

    model: str
    images: DataSource
    upload: bool
    options: Mapping[str, Any]
    minimum: float | None
    fine_tune: bool


def run(lesson: Lesson, stack: Stack, output: Output, timeout: float) -> bool:
    """Run it. Return whether the new version is READY.

    Raises OtherKind, NotTeachable, TeachingRunning, TeachTimeout, WatchTimeout, UploadRemoved,
    SourceError, ApiError, ApiUnreachable, for the backbone what `Backbones.choose` raises, what
    training raises, and botocore's errors.
    """
    api = connect(stack)
    check_kind(api, lesson.model, CLASSIFIER if lesson.fine_tune else HEAD)
    count = _upload(api, lesson, stack, output) if lesson.upload else 0
    if lesson.fine_tune or count > MAX_IMAGES:
        return _train(lesson, stack, output)
    registry = Registry(stack.registry())
    before = {each.id: each for each in registry.versions(lesson.model)}
    document = _teach(api, lesson, stack, output, timeout)
    teaching = parse(Teaching, document)
    if not output.as_json:
        print_report(output, teaching)
    version = None
    if teaching.status == PUBLISHED and teaching.version:
        version = wait_for(stack, output, _target(lesson.model, teaching.version, before), timeout)
    _print_version(output, stack, registry, document, version)
    return version is not None and version.status is Status.READY


def _upload(api: Api, lesson: Lesson, stack: Stack, output: Output) -> int:
    """Upload the data set, and return how many images there are to be taught."""
    table = stack.registry()
    backbone = lesson.options.get("backbone")
    if not lesson.fine_tune:
        check_not_running(table, lesson.model)
    if backbone:
        Backbones(table).choose(backbone)
    count = 0

    def approve(images: ImageFolder) -> None:
        """Raises what is refused, before the upload."""
        nonlocal count
        count = sum(each.channel == CHANNEL for each in images.images)
        if lesson.fine_tune or count > MAX_IMAGES:
            trainable(images)
        if lesson.fine_tune:
            return
        if count > MAX_IMAGES:
            output.remark(
                f"{lesson.model}: {count:,} images are more than the {MAX_IMAGES:,} that are "
                "taught; a training job trains a network on them"
            )
            check_kind(api, lesson.model, CLASSIFIER)
            return
        if not backbone:
            Backbones(table).choose(None)
        check_images(lesson.images.name, images)

    bucket = bucket_of(stack)
    content, change = upload_data_set(output, lesson.images, bucket, approve)
    if not output.as_json:
        output.remark(change_summary(lesson.images, bucket, change))
    if others := sum(content.images.values()) - count:
        output.remark(f"{others:,} images of other channels than train are not taught")
    return count


def _train(lesson: Lesson, stack: Stack, output: Output) -> bool:
    """Train on the data set, which is in the bucket."""
    job: dict[str, Any] = {
        "model": lesson.model,
        "recipe": "image-folder",
        "dataset": lesson.images.name,
        "hyperparameters": {"method": "fine-tune"} if lesson.fine_tune else {},
    }
    if lesson.minimum is not None:
        job["minimum"] = lesson.minimum
    epochs = settings_of(job).epochs
    training = Training(
        job, epochs, lesson.images, upload=False, weights=None, ask=False, wait=True
    )
    return train(training, stack, output)


def _teach(api: Api, lesson: Lesson, stack: Stack, output: Output, timeout: float) -> Document:
    started = api.teach(lesson.model, {"dataset": lesson.images.name, **lesson.options})
    seconds = LOCAL_INTERVAL if stack.home else DEPLOYED_INTERVAL
    steps: list[str] = []
    with spinner(output, f"{lesson.model} …") as show:

        def on_change(state: Teaching) -> None:
            show(f"{lesson.model}: {state.progress}")
            if state.step not in steps and not output.as_json and not output.remarks.is_terminal:
                output.remark(f"{lesson.model}: {state.progress}")
            steps.append(state.step)

        try:
            return follow(
                api,
                lesson.model,
                started,
                timeout,
                on_change=on_change,
                pause=lambda: time.sleep(seconds),
            )
        except KeyboardInterrupt:
            output.remark(
                f"{lesson.model}: the teaching goes on; "
                f"`facet watch {lesson.model}{where(stack)}` waits for its version"
            )
            raise


def _target(model: str, version: str, before: Mapping[str, Version]) -> WatchTarget:
    """The version to wait for; what it was before the teaching does not count, unless READY."""
    earlier = before.get(version)
    if earlier and earlier.status is Status.READY:
        earlier = None
    return WatchTarget(model, version, earlier, uploaded=True)


def _print_version(
    output: Output, stack: Stack, registry: Registry, document: Document, version: Version | None
) -> None:
    if version is None:
        if output.as_json:
            output.result(document, ())
        return
    model = registry.model(version.model)
    lines = list(version_lines(model, version))
    if version.status is Status.READY and stack.api_url:
        lines.append(f"  try it: {stack.api_url}/?model={model.name}")
    output.result({**document, "onboarding": version_document(model, version)}, lines)
