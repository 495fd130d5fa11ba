"""The command line and the environment of a training job → a validated `Job`."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facet.effects import ineffective
from facet.errors import FacetError
from facet.keys import ARTIFACT_SUFFIX, MODEL_NAME
from facet.recipes import (
    FROM_SCRATCH,
    PRETRAINED,
    RECIPES,
    BadHyperparameter,
    Hyperparameters,
    Recipe,
)

CHANNELS = ("train", "validation", "test", "weights", "live")


class BadJob(FacetError):
    """A hyperparameter or a folder of the job is missing or invalid."""


@dataclass(frozen=True)
class Job:
    """One training job; `model` and `dataset` are names for the manifest.

    `given` has the hyperparameters that are not left to the recipe. `weights` is a file of
    pretrained weights, `checkpoints` a folder that survives interruptions, `live` the artifact of
    the model's live version.
    """

    recipe: Recipe
    settings: Hyperparameters
    given: dict[str, object]
    model: str | None
    dataset: str
    channels: dict[str, Path]
    weights: Path | None
    model_folder: Path
    output_folder: Path
    checkpoints: Path | None
    live: Path | None = None

    @property
    def weights_digest(self) -> str:
        """Of the file of pretrained weights; empty if there is none."""
        if not self.weights:
            return ""
        with self.weights.open("rb") as content:
            return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Job:
    """Parses the job. Raises BadJob for an invalid value; argparse exits on an unknown argument."""
    options = vars(_parser().parse_args(arguments))
    if options["model"] and not MODEL_NAME.fullmatch(options["model"]):
        raise BadJob(f"--model {options['model']}: use at most 63 of a-z, 0-9 and '-'.")
    recipe = RECIPES[options["recipe"]]
    values = {
        name: options[name] for name in Hyperparameters.model_fields if options[name] is not None
    }
    try:
        settings = recipe.settings(values)
        folders = {name: Path(environment[name]) for name in ("SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR")}
    except BadHyperparameter as error:
        raise BadJob("\n".join(f"--{problem}" for problem in error.problems)) from error
    except KeyError as error:
        raise BadJob(f"The environment lacks {error.args[0]}, which SageMaker sets.") from error
    channels = {
        name: Path(environment[variable])
        for name in CHANNELS
        if (variable := f"SM_CHANNEL_{name.upper()}") in environment
    }
    if problems := [*ineffective(settings, values, channels)]:
        raise BadJob("\n".join(f"--{problem}" for problem in problems))
    weights = channels.pop("weights", None)
    live = channels.pop("live", None)
    if weights and settings.backbone in FROM_SCRATCH:
        raise BadJob(
            f"Channel 'weights': {settings.backbone} is trained from scratch; leave the channel "
            f"out, or set --backbone to {', '.join(PRETRAINED)}."
        )
    # No variable names this folder. SageMaker creates it if the job has a CheckpointConfig.
    checkpoints = folders["SM_MODEL_DIR"].parent / "checkpoints"
    return Job(
        recipe=recipe,
        settings=settings,
        given=values,
        model=options["model"],
        dataset=options["dataset"],
        channels=channels,
        weights=_weights_file(weights) if weights else None,
        model_folder=folders["SM_MODEL_DIR"],
        output_folder=folders["SM_OUTPUT_DATA_DIR"],
        checkpoints=checkpoints if checkpoints.is_dir() else None,
        live=next(live.glob(f"*{ARTIFACT_SUFFIX}"), None) if live else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Trains an image classifier in SageMaker's script mode: hyperparameters are "
        "arguments; channels of images and the folders for results are SM_… variables.",
        epilog="docs/training.md explains each hyperparameter.",
        allow_abbrev=False,
    )
    parser.add_argument("--recipe", required=True, choices=sorted(RECIPES))
    parser.add_argument("--model", help="name of the model, for the manifest")
    parser.add_argument(
        "--dataset", default="unnamed", help="name of the data set, for the manifest"
    )
    parser.add_argument(
        "--model_dir", help="added by the SageMaker SDK and ignored; SM_MODEL_DIR is used"
    )
    for name in Hyperparameters.model_fields:
        names = dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}"))
        parser.add_argument(*names, dest=name, metavar=name.upper())
    return parser


def _weights_file(folder: Path) -> Path:
    files = sorted(folder.rglob("*.h5"))
    if len(files) != 1:
        raise BadJob(f"Channel 'weights' has {len(files)} .h5 files, but needs exactly one.")
    return files[0]
