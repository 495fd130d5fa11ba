"""Plan how a source becomes a SavedModel that takes images in a form that Facet sends."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.pack import options
from cli.pack.errors import CannotPack
from cli.pack.model import tensorflow
from cli.pack.model.geometry import Geometry
from cli.pack.model.signature import Selection, choose
from cli.pack.model.source import GRAPH, KerasFile, SavedModelFolder
from cli.pack.options import InputOptions
from cli.terminal.prompts import Prompter
from facet.artifact.graphs import graph
from facet.artifact.graphs.saved_model import TensorSpec, UnreadableSavedModel
from facet.manifest import InputSpec

if TYPE_CHECKING:
    from cli.pack.model.reexport import Network

LITE = Path("assets.extra", "model.tflite")
SIGNATURE, TENSOR, SCORES = "serving_default", "image", "scores"
"""The names in models exported here, as in `training.export.graph`."""


@dataclass(frozen=True)
class Plan:
    """A model with a known input.

    `labels` is the number of scores, or None if unknown. `export` returns the SavedModel's folder;
    a new one is written into the folder passed to it. `convert` makes the LiteRT model, and is None
    if there cannot be one. `lite` is a LiteRT model from the source.
    """

    kind: str
    spec: InputSpec
    output: str
    labels: int | None
    export: Callable[[Path], Path]
    convert: Callable[[], bytes] | None
    lite: Path | None = None


def plan(
    source: SavedModelFolder | KerasFile,
    input_options: InputOptions,
    prompter: Prompter,
    *,
    signature: str | None,
    tensor: str | None,
    output: str | None,
) -> Plan:
    """Read the source and ask for what is missing. Raises CannotPack, MissingOption."""
    if isinstance(source, KerasFile):
        return _plan_keras(source.file, input_options, prompter)
    try:
        known = graph.read((source.folder / GRAPH).read_bytes()).signatures()
    except UnreadableSavedModel as error:
        raise CannotPack(f"{source.folder / GRAPH}: {error}") from error
    chosen = choose(known, prompter, signature=signature, tensor=tensor, output=output)
    takes = _image_geometry(
        f"signature '{chosen.signature}'", chosen.takes, input_options, prompter
    )
    if takes.served == "reexported":
        return _plan_reexport(source.folder, chosen, takes, input_options, prompter)
    return _plan_unchanged(source.folder, chosen, takes, input_options, prompter)


def _image_geometry(
    what: str, tensor: TensorSpec, input_options: InputOptions, prompter: Prompter
) -> Geometry:
    try:
        return options.image_geometry(tensor, input_options, prompter)
    except CannotPack as error:
        raise CannotPack(f"{what}: {error}") from error


def _plan_unchanged(
    folder: Path,
    chosen: Selection,
    takes: Geometry,
    input_options: InputOptions,
    prompter: Prompter,
) -> Plan:
    spec = options.spec(takes, chosen.signature, chosen.input, input_options, prompter)

    def convert() -> bytes:
        from cli.pack.model import freezing
        from training.export.export import convert_module

        scores = freezing.frozen(folder, chosen.signature, chosen.input, chosen.output)
        return convert_module(freezing.module(scores, spec, chosen.output, takes.own), spec)

    brought = folder / LITE
    return Plan(
        "SavedModel",
        spec,
        chosen.output,
        chosen.labels,
        export=lambda _: folder,
        convert=convert if takes.served == "float" else None,
        lite=brought if brought.is_file() else None,
    )


def _plan_reexport(
    folder: Path,
    chosen: Selection,
    takes: Geometry,
    input_options: InputOptions,
    prompter: Prompter,
) -> Plan:
    tensorflow.required(f"an input of {chosen.takes.dtype} {list(chosen.takes.shape or ())}")
    spec = options.spec(takes, SIGNATURE, TENSOR, input_options, prompter)
    with tensorflow.quiet():
        from cli.pack.model import reexport

        network = reexport.saved_network(folder, chosen)
    return _plan_exported(
        "SavedModel, exported again to take an image's bytes", network, takes, spec
    )


def _plan_keras(file: Path, input_options: InputOptions, prompter: Prompter) -> Plan:
    tensorflow.required("a Keras file")
    with tensorflow.quiet():
        from cli.pack.model import reexport

        network = reexport.keras_network(file)
    takes = replace(
        _image_geometry(str(file), network.takes, input_options, prompter), served="reexported"
    )
    spec = options.spec(takes, SIGNATURE, TENSOR, input_options, prompter)
    return _plan_exported("Keras, exported as a SavedModel", network, takes, spec)


def _plan_exported(kind: str, network: "Network", takes: Geometry, spec: InputSpec) -> Plan:
    """Plan an export with the signature of models that Facet trains."""
    from cli.pack.model import reexport

    return Plan(
        kind,
        spec,
        SCORES,
        network.labels,
        export=lambda scratch: reexport.save(network, takes, spec, scratch),
        convert=lambda: reexport.convert(network, takes, spec),
    )
