"""An execution's input → the training jobs to start, or an error that names every wrong field.

Each job is resolved once: its recipe, its hyperparameters, and the channels its data set has in
the bucket. `training_job.py` turns a resolved job into the parameters of CreateTrainingJob.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from facet.errors import FacetError
from facet.keys import dataset_prefix
from facet.recipes import BadHyperparameter, Hyperparameters, Recipe, recipe
from train.input import BadInput, Input, JobInput, parse
from train.training_job import (
    CHANNELS,
    DEFAULT_SECURITY,
    Execution,
    JobSecurity,
    ObjectStore,
    PlannedJob,
    ResolvedJob,
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
) -> Plan:
    """Checks all of an execution's input, `document`, before anything starts.

    `code` is the key of the training code. Raises BadInput, NoTrainingCode.
    """
    request = _parsed(document)
    jobs = _resolve(request)
    _check_code(code, store)
    channels = [_stored_channels(job.input, store) for job in jobs]
    _raise_if_any(
        problem
        for index, job in enumerate(jobs)
        for problem in _missing_data(index, job, channels[index], store)
    )
    return Plan(
        tuple(
            training_job(job, stored, execution, code, store, security)
            for job, stored in zip(jobs, channels, strict=True)
        ),
        request.concurrency,
    )


def _parsed(document: object) -> Input:
    """Raises BadInput, also for the hyperparameters of an input that does not fit the schema."""
    try:
        return parse(document)
    except BadInput as error:
        raise BadInput("\n".join([str(error), *_settings_problems(document)])) from error


def _settings_problems(document: object) -> Iterator[str]:
    jobs = document.get("jobs") if isinstance(document, dict) else None
    for index, job in enumerate(jobs if isinstance(jobs, list) else ()):
        if not isinstance(job, dict) or not isinstance(job.get("recipe"), str):
            continue
        given = job.get("hyperparameters")
        values = given if isinstance(given, dict) else {}
        plain = {name: each for name, each in values.items() if isinstance(each, str | int | float)}
        try:
            _settings(index, job["recipe"], plain)
        except BadInput as error:
            yield str(error)


def _resolve(request: Input) -> list[ResolvedJob]:
    """Looks up every job's recipe and checks its hyperparameters. Raises BadInput."""
    jobs: list[ResolvedJob] = []
    problems: list[str] = []
    for index, job in enumerate(request.jobs):
        problems += _duplicate(index, job, request.jobs)
        try:
            resolved = _resolved(index, job)
        except BadInput as error:
            problems.append(str(error))
            continue
        problems += _uneven_batches(index, resolved)
        jobs.append(resolved)
    _raise_if_any(problems)
    return jobs


def _resolved(index: int, job: JobInput) -> ResolvedJob:
    return ResolvedJob(job, *_settings(index, job.recipe, job.hyperparameters))


def _settings(
    index: int, name: str, hyperparameters: Mapping[str, object]
) -> tuple[Recipe, Hyperparameters]:
    """Raises BadInput."""
    field = ""
    try:
        known = recipe(name)
        field = "hyperparameters."
        return known, known.settings(hyperparameters)
    except BadHyperparameter as error:
        problems = (f"jobs[{index}].{field}{problem}" for problem in error.problems)
        raise BadInput("\n".join(problems)) from error


def _duplicate(index: int, job: JobInput, jobs: Sequence[JobInput]) -> Iterator[str]:
    first = next(i for i, other in enumerate(jobs) if other.model == job.model)
    if first != index:
        yield (
            f"jobs[{index}].model {job.model}: jobs[{first}] already trains it; "
            "remove one of the two."
        )


def _uneven_batches(index: int, job: ResolvedJob) -> Iterator[str]:
    instances, batch_size = job.input.instance_count, job.settings.batch_size
    if batch_size % instances:
        yield (
            f"jobs[{index}].instance_count {instances}: batches of {batch_size} images cannot be "
            f"divided evenly; set batch-size to a multiple of {instances}."
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
    if job.metric == "test_accuracy" and not _has_test_images(job, channels):
        yield (
            f"jobs[{index}].metric {job.metric}: the data set has no test channel and no test "
            "images are split off; upload test/ or set test-share."
        )


def _has_test_images(job: ResolvedJob, channels: tuple[str, ...]) -> bool:
    """Training splits test images off `train` only if there is no validation channel either."""
    return "test" in channels or (job.settings.test_share > 0 and "validation" not in channels)


def _raise_if_any(problems: Sequence[str] | Iterator[str]) -> None:
    if lines := list(problems):
        raise BadInput("\n".join(lines))
