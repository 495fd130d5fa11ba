"""The options of `facet pack` about backbones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.pack.errors import CannotPack
from training.weights import Application

PANEL = "Backbones, which give features instead of labels"

Backbone = Annotated[
    Application | None,
    typer.Option(help="A network of keras.applications, instead of SOURCE.", rich_help_panel=PANEL),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Its weights without the top, an .h5 file of keras.applications. Default: Keras "
        "downloads ImageNet's.",
        rich_help_panel=PANEL,
    ),
]
Alpha = Annotated[
    float | None,
    typer.Option(
        help="The width factor of a MobileNet. Default: that of --weights, or 1.",
        rich_help_panel=PANEL,
    ),
]
Features = Annotated[
    bool,
    typer.Option(
        "--features",
        help="SOURCE is a backbone: its output is one flat row of features, not of scores.",
        rich_help_panel=PANEL,
    ),
]


def check(
    source: Path | None,
    backbone: str | None,
    *,
    features: bool,
    of_network: Mapping[str, object],
    of_classifiers: Mapping[str, object],
    of_files: Mapping[str, object],
) -> None:
    """Raise CannotPack unless there is one source, for options that do not belong to it.

    The mappings have the options for keras.applications, for classifiers and for files.
    """
    if (source is None) == (backbone is None):
        raise CannotPack("name either SOURCE, a model's folder or file, or --backbone NAME")
    if source and (given := _given(of_network)):
        raise CannotPack(f"{given}: only for --backbone NAME")
    if (features or backbone) and (given := _given(of_classifiers)):
        raise CannotPack(f"{given}: only for classifiers; a backbone has no labels")
    if backbone and (given := _given(of_files)):
        raise CannotPack(f"{given}: only for SOURCE; for {backbone} it is known")


def _given(options: Mapping[str, object]) -> str:
    names = (name for name, value in options.items() if value not in (None, False))
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)
