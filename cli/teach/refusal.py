"""What is known to be refused, checked before any image is uploaded."""

import hashlib
from typing import TYPE_CHECKING

from cli.client.api import NOT_FOUND, Api, ApiError, parse
from cli.models import ModelDetails
from facet.errors import FacetError
from facet.heads.errors import TeachingRunning, UnknownTeaching
from facet.registry.models import Status
from facet.registry.teachings import State, Teachings, utc_now
from teach.data_sets import CHANNEL, StoredImage
from teach.work.rules import images_of, sort_out, too_many
from training.data.layout import ImageFolder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

HEAD, CLASSIFIER = "head", "classifier"

NAMED = 10
"""Problems that the error names."""


class OtherKind(FacetError):
    """The model's versions are of another kind than the one that is to be made."""


class NotTeachable(FacetError):
    """The images cannot be taught; the message has each reason."""


def check_kind(api: Api, name: str, kind: str) -> None:
    """Raises OtherKind if the model has versions of another kind."""
    try:
        model = parse(ModelDetails, api.model(name))
    except ApiError as error:
        if error.status == NOT_FOUND:
            return
        raise
    accepted = any(each.status in (Status.READY, Status.RETIRED) for each in model.versions)
    if accepted and model.kind != kind:
        makes = "teaching makes heads" if kind == HEAD else "a training job makes classifiers"
        raise OtherKind(
            f"'{name}' is a {model.kind}, and {makes}. Choose another name; with --dataset {name} "
            "it may use the same images"
        )


def check_not_running(table: "Table", name: str) -> None:
    """Raises TeachingRunning: an upload would change the images that are being taught."""
    try:
        last = Teachings(table).find(name).as_of(utc_now())
    except UnknownTeaching:
        return
    if last.state is State.RUNNING:
        raise TeachingRunning(name)


def check_images(dataset: str, folder: ImageFolder) -> None:
    """Raises NotTeachable for what the teaching would refuse, with all reasons."""
    train = sorted(
        (each for each in folder.images if each.channel == CHANNEL), key=lambda each: each.path
    )
    stored = [StoredImage(each.label, each.name, 0, "", "") for each in train]
    images, others = images_of(stored)
    digests = {f"{each.label}/{each.name}": hashlib.sha256(each.read()).digest() for each in train}
    found = sort_out(dataset, images, [digests[each.path] for each in images], others)
    problems = [*too_many(dataset, images), *found.problems]
    lines = [*folder.empty, *(f"{each.place}: {each.problem} ({each.remedy})" for each in problems)]
    if lines:
        more = f"; and {len(lines) - NAMED:,} more" if len(lines) > NAMED else ""
        raise NotTeachable(f"nothing was uploaded: {'; '.join(lines[:NAMED])}{more}")
