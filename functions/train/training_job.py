"""A resolved job → the parameters of SageMaker's CreateTrainingJob."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from facet.keys import dataset_prefix, training_prefix
from facet.recipes import Hyperparameters, Recipe
from facet.specs import Frozen
from train.input import Hyperparameter, JobInput

MAX_SPOT_WAIT = 4 * 3600
"""Seconds, beyond its own run time, that a job waits for spot instances."""

VOLUME_GB = 50

LOCAL_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|p5e?n?|trn1n?|trn2)\.")
"""Instance types with a local disk, which has an encryption key of its own. SageMaker rejects a
VolumeKmsKeyId for them (ResourceConfig in its API reference)."""

PROGRAM = "training/train.py"
CHANNELS = ("train", "validation", "test")


class Execution(Frozen):
    """The execution: its ARN, its name, and when it started, as Step Functions writes it."""

    id: str
    name: str
    started: str


class JobSecurity(Frozen):
    """Encryption and network of training jobs.

    `key` (a KMS key's ARN) encrypts their volumes and outputs; `subnets` and `security_groups` are
    ids separated by commas. Empty means AWS's own key, and no VPC.
    """

    key: str = ""
    subnets: str = ""
    security_groups: str = ""


DEFAULT_SECURITY = JobSecurity()


class ObjectStore(Protocol):
    """What planning needs of the bucket; `bucket.Bucket` implements it."""

    @property
    def region(self) -> str: ...

    def uri(self, key: str) -> str: ...

    def has(self, prefix: str) -> bool: ...

    def newest(self, prefix: str) -> str | None: ...


@dataclass(frozen=True)
class ResolvedJob:
    """One entry of `jobs` with its recipe, whose defaults apply where the entry says nothing."""

    input: JobInput
    recipe: Recipe
    settings: Hyperparameters

    @property
    def metric(self) -> str:
        return self.input.metric or self.recipe.metric

    @property
    def minimum(self) -> float | None:
        return self.recipe.minimum if self.input.minimum is None else self.input.minimum

    @property
    def instance_type(self) -> str:
        return self.input.instance_type or self.recipe.instance_type

    @property
    def max_runtime(self) -> int:
        """Seconds."""
        return self.input.max_runtime or self.recipe.max_runtime


@dataclass(frozen=True)
class PlannedJob:
    """What the state machine needs for one training job.

    `name` is a prefix of at most 53 characters for its training jobs' names. `channels`,
    `resources`, `network`, `stopping` and `output` are CreateTrainingJob's InputDataConfig,
    ResourceConfig, VpcConfig, StoppingCondition and OutputDataConfig. `checkpoints` is an S3 URI.
    """

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
    minimum: float | None
    level: float
    allow_worse: bool


def training_job(
    job: ResolvedJob,
    channels: tuple[str, ...],
    execution: Execution,
    code: str,
    store: ObjectStore,
    security: JobSecurity,
    live: str | None = None,
) -> PlannedJob:
    """Plans a job on the data set's `channels`; `code` is the key of the training code.

    `live` is the key of the live version's artifact, which the job compares its model with.
    """
    model = job.input.model
    prefix = training_prefix(_key_part(execution.name), model)
    return PlannedJob(
        model=model,
        name=_name(model, execution),
        hyperparameters=_hyperparameters(job.input, code, store),
        channels=tuple(_channels(job.input, channels, store, live)),
        resources=_resources(job, security),
        network=_network(security),
        spot=job.input.spot,
        stopping=_stopping(job),
        output={"S3OutputPath": store.uri(prefix)} | _encryption("KmsKeyId", security),
        checkpoints=store.uri(
            found_checkpoints(job.input, store)
            or f"{prefix}/checkpoints/{_digest(model, execution)}"
        ),
        metric=job.metric,
        minimum=job.minimum,
        level=job.input.level,
        allow_worse=job.input.allow_worse,
    )


def found_checkpoints(job: JobInput, store: ObjectStore) -> str | None:
    """The prefix of the checkpoint that the job resumes from, None if there is none.

    An execution's name can be reused, so there may be several: the newest counts.
    """
    if not job.resume:
        return None
    newest = store.newest(checkpoints_prefix(job))
    return newest.rpartition("/")[0] if newest else None


def checkpoints_prefix(job: JobInput) -> str:
    """The prefix of the checkpoints of the execution that the job resumes."""
    return f"{training_prefix(_key_part(job.resume or ''), job.model)}/checkpoints/"


def _hyperparameters(job: JobInput, code: str, store: ObjectStore) -> dict[str, str]:
    """As JSON, which script mode decodes; as plain text, a model named `1e5` would be a number."""
    values: dict[str, Hyperparameter] = {
        **job.hyperparameters,
        "recipe": job.recipe,
        "model": job.model,
        "dataset": job.dataset,
        "sagemaker_program": PROGRAM,
        "sagemaker_submit_directory": store.uri(code),
        "sagemaker_region": store.region,
    }
    return {name: json.dumps(value) for name, value in values.items()}


def _channels(
    job: JobInput, channels: tuple[str, ...], store: ObjectStore, live: str | None
) -> Iterator[dict[str, object]]:
    for name in channels:
        yield _channel(name, store.uri(dataset_prefix(job.dataset, name)))
    if job.weights:
        yield _channel("weights", store.uri(job.weights))
    if live:
        yield _channel("live", store.uri(live))


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


def _resources(job: ResolvedJob, security: JobSecurity) -> dict[str, str | int]:
    resources: dict[str, str | int] = {
        "InstanceType": job.instance_type,
        "InstanceCount": job.input.instance_count,
        "VolumeSizeInGB": VOLUME_GB,
    }
    if LOCAL_DISK.match(job.instance_type):
        return resources
    return {**resources, **_encryption("VolumeKmsKeyId", security)}


def _network(security: JobSecurity) -> dict[str, tuple[str, ...]] | None:
    if not security.subnets:
        return None
    return {
        "Subnets": tuple(security.subnets.split(",")),
        "SecurityGroupIds": tuple(security.security_groups.split(",")),
    }


def _encryption(parameter: str, security: JobSecurity) -> dict[str, str]:
    return {parameter: security.key} if security.key else {}


def _stopping(job: ResolvedJob) -> dict[str, int]:
    seconds = job.max_runtime
    spot = {"MaxWaitTimeInSeconds": seconds + MAX_SPOT_WAIT} if job.input.spot else {}
    return {"MaxRuntimeInSeconds": seconds} | spot


def _name(model: str, execution: Execution) -> str:
    """Readable, and unique: an execution's name can be reused after 90 days, its start cannot."""
    readable = f"{model[:24]}-{re.sub('[^A-Za-z0-9]+', '-', execution.name)[:18]}".strip("-")
    return f"{readable}-{_digest(model, execution)}"


def _digest(model: str, execution: Execution) -> str:
    whole = f"{execution.id} {execution.started} {model}"
    return hashlib.sha256(whole.encode()).hexdigest()[:8]


def _key_part(name: str) -> str:
    """An execution's name, which may hold any character, as a part of an S3 key."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)
