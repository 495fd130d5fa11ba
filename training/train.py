"""The script-mode entry point: hyperparameters → data → fit → evaluate → export.

SageMaker hands hyperparameters over as arguments, everything else as `SM_…` variables:
`SM_CHANNEL_TRAIN`, `…_VALIDATION` and `…_TEST` name image folders, `SM_MODEL_DIR` takes the
artifact's files, `SM_OUTPUT_DATA_DIR` takes `metrics.json`.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import keras
import tensorflow as tf
from pydantic import ValidationError

from facet.errors import FacetError
from facet.manifest import MODEL_NAME
from training.dataset import Dataset, load
from training.export import About, export
from training.fit import Fitted, evaluate, fit
from training.recipes import RECIPES, Hyperparameters, Recipe

PROOF = 256
"""How many validation pictures the exported models must agree on."""


class BadJob(FacetError):
    """A hyperparameter or a folder of the job is missing or wrong."""


@dataclass(frozen=True)
class Job:
    """One training job; `model` and `dataset` are names for the manifest."""

    recipe: Recipe
    settings: Hyperparameters
    model: str | None
    dataset: str
    channels: dict[str, Path]
    model_folder: Path
    output_folder: Path


def main() -> int:
    """Runs the job that the command line and the environment describe; 1 means it failed."""
    try:
        run(parse(sys.argv[1:], os.environ))
    except FacetError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Job:
    """The job. Raises `BadJob` for a wrong value; argparse exits on an unknown argument."""
    named = vars(_parser().parse_args(arguments))
    if named["model"] and not MODEL_NAME.fullmatch(named["model"]):
        raise BadJob(f"--model {named['model']}: a name has a-z, 0-9 and '-', at most 63 of them.")
    recipe = RECIPES[named["recipe"]]
    given = {name: named[name] for name in Hyperparameters.model_fields if named[name] is not None}
    try:
        settings = Hyperparameters.model_validate(recipe.defaults.model_dump() | given)
        folders = {name: Path(environment[name]) for name in ("SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR")}
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise BadJob(f"--{name} {first['input']}: {first['msg']}.") from error
    except KeyError as error:
        raise BadJob(f"The environment lacks {error.args[0]}, which SageMaker sets.") from error
    return Job(
        recipe=recipe,
        settings=settings,
        model=named["model"],
        dataset=named["dataset"],
        channels={
            name: Path(environment[f"SM_CHANNEL_{name.upper()}"])
            for name in ("train", "validation", "test")
            if f"SM_CHANNEL_{name.upper()}" in environment
        },
        model_folder=folders["SM_MODEL_DIR"],
        output_folder=folders["SM_OUTPUT_DATA_DIR"],
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--recipe", required=True, choices=sorted(RECIPES))
    parser.add_argument("--model", help="the model's name, for the manifest")
    parser.add_argument("--dataset", default="unnamed", help="the data set's name")
    parser.add_argument("--model_dir", help="the SageMaker SDK adds it; SM_MODEL_DIR is used")
    for name in Hyperparameters.model_fields:
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name)
    return parser


def run(job: Job) -> None:
    """Trains, evaluates and exports. Raises `FacetError` where the job cannot succeed."""
    print(f"recipe={job.recipe.name} {_words(job.settings)}", flush=True)
    settings = job.settings
    data = load(job.channels, job.recipe.spec, share=settings.validation_share, seed=settings.seed)
    fitted = fit(job.recipe, data, settings)
    metrics = _metrics(job, data, fitted)
    print(" ".join(f"{name}={value:.4f}" for name, value in metrics.items()), flush=True)
    apart = export(
        fitted.network,
        job.recipe.spec,
        About(
            model=job.model,
            description=job.recipe.description,
            labels=data.labels,
            metrics=metrics,
            provenance=_provenance(job, data, fitted),
        ),
        proof=data.validation.pixels[:: max(1, len(data.validation) // PROOF)],
        folder=job.model_folder,
    )
    print(f"exported=1 runtimes_difference={apart:.2g}", flush=True)
    _report(job, data, fitted, metrics)


def _metrics(job: Job, data: Dataset, fitted: Fitted) -> dict[str, float]:
    sets = {"validation": data.validation, "test": data.test}
    return {
        f"{name}_{measure}": round(value, 4)
        for name, pictures in sets.items()
        if pictures
        for measure, value in evaluate(fitted.network, pictures, job.recipe.spec).items()
    }


def _provenance(job: Job, data: Dataset, fitted: Fitted) -> dict[str, str]:
    """Where the model comes from. No paths: they would mean nothing elsewhere."""
    counts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "recipe": job.recipe.name,
        "hyperparameters": _words(job.settings),
        "dataset": job.dataset,
        "pictures": " ".join(f"{name}={len(those)}" for name, those in counts.items() if those),
        "skipped": str(data.skipped),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_seconds": f"{fitted.seconds:.0f}",
    }


def _report(job: Job, data: Dataset, fitted: Fitted, metrics: dict[str, float]) -> None:
    job.output_folder.mkdir(parents=True, exist_ok=True)
    report = {
        "metrics": metrics,
        "history": fitted.history,
        "skipped": data.skipped,
        "training_seconds": round(fitted.seconds, 1),
    }
    (job.output_folder / "metrics.json").write_text(json.dumps(report, indent=2) + "\n")


def _words(settings: Hyperparameters) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.model_dump().items())


if __name__ == "__main__":
    sys.exit(main())
