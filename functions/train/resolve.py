"""The jobs of an execution's input with their recipes and hyperparameters, checked.

All that can be checked without the bucket; `facet train` does so before it uploads anything.
"""

from collections.abc import Iterator, Mapping, Sequence

from facet.effects import ineffective
from facet.recipes import (
    FROM_SCRATCH,
    PRETRAINED,
    BadHyperparameter,
    Hyperparameters,
    Recipe,
    recipe,
)
from train.input import BadInput, Input, JobInput, parse
from train.training_job import ResolvedJob


def parsed(document: object) -> Input:
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


def resolve(request: Input) -> list[ResolvedJob]:
    """Looks up every job's recipe and checks all that can be checked without the bucket.

    Raises BadInput.
    """
    jobs: list[ResolvedJob] = []
    problems: list[str] = []
    for index, job in enumerate(request.jobs):
        problems += _duplicate(index, job, request.jobs)
        try:
            resolved = _resolved(index, job)
        except BadInput as error:
            problems.append(str(error))
            continue
        problems += [*_uneven_batches(index, resolved), *_unused_weights(index, resolved)]
        jobs.append(resolved)
    raise_if_any(problems)
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
        settings = known.settings(hyperparameters)
        if problems := [*ineffective(settings, hyperparameters)]:
            raise BadHyperparameter(*problems)
        return known, settings
    except BadHyperparameter as error:
        lines = (f"jobs[{index}].{field}{problem}" for problem in error.problems)
        raise BadInput("\n".join(lines)) from error


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


def _unused_weights(index: int, job: ResolvedJob) -> Iterator[str]:
    if job.input.weights and job.settings.backbone in FROM_SCRATCH:
        yield (
            f"jobs[{index}].weights {job.input.weights}: {job.settings.backbone} is trained from "
            f"scratch; remove weights, or set backbone to {', '.join(PRETRAINED)}."
        )


def raise_if_any(problems: Sequence[str] | Iterator[str]) -> None:
    """Raises BadInput if there is any problem."""
    if lines := list(problems):
        raise BadInput("\n".join(lines))
