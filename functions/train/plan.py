"""An execution's input → everything that its training jobs need, or a refusal that names fields."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from facet.errors import FacetError
from facet.manifest import Frozen
from facet.recipes import BadHyperparameter, Recipe, recipe
from train.input import BadInput, Hyperparameter, Input, JobInput, parse

SPOT_PATIENCE = 4 * 3600
"""Seconds beyond its own run time that a job waits for spot instances."""

VOLUME_GB = 50

LOCAL_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|p5e?n?|trn1n?|trn2)\.")
"""Instance types whose disk is their own, with a key of its own: SageMaker takes none of ours for
it (ResourceConfig in its API reference)."""

PROGRAM = "training/train.py"
CHANNELS = ("train", "validation", "test")


class NoTrainingCode(FacetError):
    """The stack does not have the training code that it was deployed with."""


class Execution(Frozen):
    """The execution: its ARN, its name, and when it started, as Step Functions writes it."""

    id: str
    name: str
    started: str


class JobSecurity(Frozen):
    """Where training jobs run: `key` (ARN) encrypts their volumes and outputs, `subnets` and
    `security_groups` are ids separated by commas. Empty means AWS's key, and no VPC."""

    key: str = ""
    subnets: str = ""
    security_groups: str = ""


ANYWHERE = JobSecurity()


class ObjectStore(Protocol):
    """What planning asks of the bucket; `bucket.Bucket` is one."""

    @property
    def region(self) -> str: ...

    def uri(self, key: str) -> str: ...

    def has(self, prefix: str) -> bool: ...


@dataclass(frozen=True)
class PlannedJob:
    """One training job. `name` is the beginning of its training jobs' names, of 53 characters at
    most; `channels`, `resources`, `network`, `stopping` and `output` are CreateTrainingJob's
    InputDataConfig, ResourceConfig, VpcConfig, StoppingCondition and OutputDataConfig,
    `checkpoints` is an S3 prefix."""

    model: str
    name: str
    hyperparameters: Mapping[str, str]
    channels: tuple[Mapping[str, object], ...]
    resources: Mapping[str, str | int]
    network: Mapping[str, tuple[str, ...]] | None
    spot: bool
    stopping: Mapping[str, int]
    output: Mapping[str, str]
    checkpoints: str
    metric: str
    minimum: float
    allow_worse: bool


@dataclass(frozen=True)
class Plan:
    """What the state machine carries out."""

    jobs: tuple[PlannedJob, ...]
    concurrency: int


def plan(
    document: object,
    execution: Execution,
    code: str,
    shelf: ObjectStore,
    place: JobSecurity = ANYWHERE,
) -> Plan:
    """Checks all of an execution's input, `document`, before anything starts.

    `code` is the key of the training code. Raises BadInput, NoTrainingCode.
    """
    given = parse(document)
    if problems := [line for at, job in enumerate(given.jobs) for line in _wrong(at, job, given)]:
        raise BadInput("\n".join(problems))
    _check_code(code, shelf)
    if problems := [line for at, job in enumerate(given.jobs) for line in _missing(at, job, shelf)]:
        raise BadInput("\n".join(problems))
    jobs = tuple(_planned(job, execution, code, shelf, place) for job in given.jobs)
    return Plan(jobs, given.concurrency)


def _wrong(at: int, job: JobInput, given: Input) -> Iterator[str]:
    first = next(i for i, each in enumerate(given.jobs) if each.model == job.model)
    if first != at:
        yield f"jobs[{at}].model {job.model}: jobs[{first}] trains it already; leave one out."
    try:
        known = recipe(job.recipe)
    except BadHyperparameter as error:
        yield f"jobs[{at}].{error}"
        return
    try:
        settings = known.settings(job.hyperparameters)
    except BadHyperparameter as error:
        yield f"jobs[{at}].hyperparameters.{error}"
        return
    if settings.batch_size % job.instance_count:
        yield (
            f"jobs[{at}].instance_count {job.instance_count}: "
            f"they cannot share batches of {settings.batch_size} evenly; set batch-size."
        )


def _check_code(code: str, shelf: ObjectStore) -> None:
    if not code:
        raise NoTrainingCode(
            "The stack was deployed without training code: deploy it with `make deploy`, or set "
            "the parameter TrainingCode to the key that `python -m training.package` prints."
        )
    if not shelf.has(code):
        raise NoTrainingCode(
            f"There is no training code at {shelf.uri(code)}: upload it with `make deploy`, or "
            "with `python -m training.package --bucket BUCKET`."
        )


def _missing(at: int, job: JobInput, shelf: ObjectStore) -> Iterator[str]:
    train = f"datasets/{job.dataset}/train/"
    if not shelf.has(train):
        yield (
            f"jobs[{at}].dataset {job.dataset}: there is nothing at {shelf.uri(train)}; "
            "upload a folder of images for each label to it, as `facet data` does."
        )
    if job.weights and not shelf.has(job.weights):
        yield f"jobs[{at}].weights {job.weights}: there is nothing at {shelf.uri(job.weights)}."
    known = recipe(job.recipe)
    metric = job.metric or known.metric
    if metric == "test_accuracy" and not _tests(job, known, shelf):
        yield f"jobs[{at}].metric {metric}: the data set has no test/, and no test-share is taken."


def _tests(job: JobInput, known: Recipe, shelf: ObjectStore) -> bool:
    """Whether the job will have test images: a channel's, or a share of `train`."""
    if shelf.has(f"datasets/{job.dataset}/test/"):
        return True
    share = known.settings(job.hyperparameters).test_share
    return share > 0 and not shelf.has(f"datasets/{job.dataset}/validation/")


def _planned(
    job: JobInput, execution: Execution, code: str, shelf: ObjectStore, place: JobSecurity
) -> PlannedJob:
    known = recipe(job.recipe)
    folder = f"training/{_plain(execution.name)}/{job.model}"
    return PlannedJob(
        model=job.model,
        name=_name(job.model, execution),
        hyperparameters=_hyperparameters(job, code, shelf),
        channels=tuple(_channels(job, shelf)),
        resources=_resources(job, known, place),
        network=_network(place),
        spot=job.spot,
        stopping=_stopping(job, known),
        output={"S3OutputPath": shelf.uri(folder)} | _key("KmsKeyId", place),
        checkpoints=shelf.uri(f"{folder}/checkpoints/{_digest(job.model, execution)}"),
        metric=job.metric or known.metric,
        minimum=known.minimum if job.minimum is None else job.minimum,
        allow_worse=job.allow_worse,
    )


def _hyperparameters(job: JobInput, code: str, shelf: ObjectStore) -> dict[str, str]:
    """As the SageMaker SDK sends them: JSON, which script mode turns into arguments again."""
    given: dict[str, Hyperparameter] = {
        **job.hyperparameters,
        "recipe": job.recipe,
        "model": job.model,
        "dataset": job.dataset,
        "sagemaker_program": PROGRAM,
        "sagemaker_submit_directory": shelf.uri(code),
        "sagemaker_region": shelf.region,
    }
    return {name: json.dumps(value) for name, value in given.items()}


def _channels(job: JobInput, shelf: ObjectStore) -> Iterator[dict[str, object]]:
    """The data set's channels that are there, and the weights."""
    for name in CHANNELS:
        prefix = f"datasets/{job.dataset}/{name}/"
        if shelf.has(prefix):
            yield _channel(name, shelf.uri(prefix))
    if job.weights:
        yield _channel("weights", shelf.uri(job.weights))


def _channel(name: str, uri: str) -> dict[str, object]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def _resources(job: JobInput, known: Recipe, place: JobSecurity) -> dict[str, str | int]:
    kind = job.instance_type or known.instance_type
    wanted: dict[str, str | int] = {
        "InstanceType": kind,
        "InstanceCount": job.instance_count,
        "VolumeSizeInGB": VOLUME_GB,
    }
    return wanted if LOCAL_DISK.match(kind) else {**wanted, **_key("VolumeKmsKeyId", place)}


def _network(place: JobSecurity) -> dict[str, tuple[str, ...]] | None:
    if not place.subnets:
        return None
    return {
        "Subnets": tuple(place.subnets.split(",")),
        "SecurityGroupIds": tuple(place.security_groups.split(",")),
    }


def _key(name: str, place: JobSecurity) -> dict[str, str]:
    return {name: place.key} if place.key else {}


def _stopping(job: JobInput, known: Recipe) -> dict[str, int]:
    seconds = job.max_runtime or known.max_runtime
    waiting = {"MaxWaitTimeInSeconds": seconds + SPOT_PATIENCE} if job.spot else {}
    return {"MaxRuntimeInSeconds": seconds} | waiting


def _name(model: str, execution: Execution) -> str:
    """Readable, and unique: an execution's name may come again after 90 days, its start cannot."""
    readable = f"{model[:24]}-{re.sub('[^A-Za-z0-9]+', '-', execution.name)[:18]}".strip("-")
    return f"{readable}-{_digest(model, execution)}"


def _digest(model: str, execution: Execution) -> str:
    whole = f"{execution.id} {execution.started} {model}"
    return hashlib.sha256(whole.encode()).hexdigest()[:8]


def _plain(name: str) -> str:
    """An execution's name as a part of a key; it may hold any letter."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)
