"""An execution's input → the training jobs to start, or an error that names every wrong field.

Each job is resolved once: its recipe and its hyperparameters (`resolve.py`), and the channels its
data set has in the bucket. `training_job.py` turns a resolved job into the parameters of
CreateTrainingJob.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from facet.effects import ineffective
from facet.errors import FacetError
from facet.keys import dataset_prefix
from train.input import JobInput
from train.resolve import parsed, raise_if_any, resolve
from train.training_job import (
    CHANNELS,
    DEFAULT_SECURITY,
    Execution,
    JobSecurity,
    ObjectStore,
    PlannedJob,
    ResolvedJob,
    checkpoints_prefix,
    found_checkpoints,
    training_job,
)


class NoTrainingCode(FacetError):
    """The bucket lacks the training code that the stack was deployed with."""


@dataclass(frozen=True)
class Plan:
    """The jobs to start, of which `concurrency` train at once."""

    jobs: tuple[PlannedJob, ...]
    concurrency: int


def plan(
    document: object,
    execution: Execution,
    code: str,
    store: ObjectStore,
    security: JobSecurity = DEFAULT_SECURITY,
    live: Callable[[str], str | None] = lambda _: None,
) -> Plan:
    """Checks all of an execution's input, `document`, before anything starts.

    `code` is the key of the training code; `live` returns the key of the artifact of a model's live
    version, if it has one. Raises BadInput, NoTrainingCode.
    """
    request = parsed(document)
    jobs = resolve(request)
    _check_code(code, store)
    channels = [_stored_channels(job.input, store) for job in jobs]
    raise_if_any(
        problem
        for index, job in enumerate(jobs)
        for problem in (
            *_missing_data(index, job, channels[index], store),
            *_ineffective_shares(index, job, channels[index]),
        )
    )
    return Plan(
        tuple(
            training_job(job, stored, execution, code, store, security, live(job.input.model))
            for job, stored in zip(jobs, channels, strict=True)
        ),
        request.concurrency,
    )


def _check_code(code: str, store: ObjectStore) -> None:
    if not code:
        raise NoTrainingCode(
            "The stack was deployed without training code. Deploy it with `make deploy`, or set "
            "the parameter TrainingCode to the key that `python -m training.package` prints."
        )
    if not store.has(code):
        raise NoTrainingCode(
            f"There is no training code at {store.uri(code)}. Upload it with `make deploy`, or "
            "with `python -m training.package --bucket BUCKET`."
        )


def _stored_channels(job: JobInput, store: ObjectStore) -> tuple[str, ...]:
    """The channels that have at least one object in the bucket."""
    return tuple(name for name in CHANNELS if store.has(dataset_prefix(job.dataset, name)))


def _missing_data(
    index: int, job: ResolvedJob, channels: tuple[str, ...], store: ObjectStore
) -> Iterator[str]:
    dataset, weights = job.input.dataset, job.input.weights
    if "train" not in channels:
        yield (
            f"jobs[{index}].dataset {dataset}: there is nothing at "
            f"{store.uri(dataset_prefix(dataset, 'train'))}; "
            "upload one folder of images per label, for example with `facet data`."
        )
    if weights and not store.has(weights):
        yield f"jobs[{index}].weights {weights}: there is nothing at {store.uri(weights)}."
    if job.input.resume and not found_checkpoints(job.input, store):
        yield (
            f"jobs[{index}].resume {job.input.resume}: there is no checkpoint at "
            f"{store.uri(checkpoints_prefix(job.input))}. A job writes one after its first epoch, "
            "and the stack deletes it after TrainingDays; train from the start instead."
        )
    if job.metric.startswith("test_") and not _has_test_images(job, channels):
        yield (
            f"jobs[{index}].metric {job.metric}: the data set has no test channel and no test "
            "images are split off; upload test/ or set test-share."
        )


def _ineffective_shares(index: int, job: ResolvedJob, channels: tuple[str, ...]) -> Iterator[str]:
    for problem in ineffective(job.settings, job.input.hyperparameters, channels):
        yield f"jobs[{index}].hyperparameters.{problem}"


def _has_test_images(job: ResolvedJob, channels: tuple[str, ...]) -> bool:
    """Training splits test images off `train` if they have no channel."""
    return "test" in channels or job.settings.test_share > 0
