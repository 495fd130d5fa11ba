"""How each kind of source becomes a SavedModel that Facet can send images to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.pack import options
from cli.pack.errors import CannotPack
from cli.pack.model import tensorflow
from cli.pack.model.geometry import Geometry
from cli.pack.model.signature import Chosen, choose
from cli.pack.model.source import GRAPH, KerasFile, SavedModelFolder
from cli.pack.options import Given
from cli.terminal.prompts import Prompter
from facet.artifact.graphs import graph
from facet.artifact.graphs.saved_model import TensorSpec, UnreadableSavedModel
from facet.manifest import InputSpec

if TYPE_CHECKING:
    from cli.pack.model.reexport import Network

LITE = Path("assets.extra", "model.tflite")
SIGNATURE, TENSOR, SCORES = "serving_default", "image", "scores"
"""The names in models that are exported here, as in `training.export.graph`."""


@dataclass(frozen=True)
class Plan:
    """A model whose images are understood.

    `labels` is how many scores it gives, None where it does not say. `export` makes the
    SavedModel's folder, inside the one given if it is a new one. `convert` makes the LiteRT model;
    None where there cannot be one. `lite` is one that the source brings.
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
    given: Given,
    prompter: Prompter,
    *,
    signature: str | None,
    tensor: str | None,
    output: str | None,
) -> Plan:
    """Understands the source. Raises CannotPack, MissingOption."""
    if isinstance(source, KerasFile):
        return _of_keras(source.file, given, prompter)
    try:
        known = graph.read((source.folder / GRAPH).read_bytes()).signatures()
    except UnreadableSavedModel as error:
        raise CannotPack(f"{source.folder / GRAPH}: {error}") from error
    chosen = choose(known, prompter, signature=signature, tensor=tensor, output=output)
    takes = _sized(f"signature '{chosen.signature}'", chosen.takes, given, prompter)
    if takes.served == "wrapped":
        return _of_unserved(source.folder, chosen, takes, given, prompter)
    return _as_it_is(source.folder, chosen, takes, given, prompter)


def _sized(what: str, tensor: TensorSpec, given: Given, prompter: Prompter) -> Geometry:
    try:
        return options.sized(tensor, given, prompter)
    except CannotPack as error:
        raise CannotPack(f"{what}: {error}") from error


def _as_it_is(
    folder: Path, chosen: Chosen, takes: Geometry, given: Given, prompter: Prompter
) -> Plan:
    spec = options.spec(takes, chosen.signature, chosen.input, given, prompter)

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


def _of_unserved(
    folder: Path, chosen: Chosen, takes: Geometry, given: Given, prompter: Prompter
) -> Plan:
    tensorflow.required(f"an input of {chosen.takes.dtype} {list(chosen.takes.shape or ())}")
    spec = options.spec(takes, SIGNATURE, TENSOR, given, prompter)
    with tensorflow.quiet():
        from cli.pack.model import reexport

        network = reexport.saved_network(folder, chosen)
    return _exported("SavedModel, exported anew to take an image's bytes", network, takes, spec)


def _of_keras(file: Path, given: Given, prompter: Prompter) -> Plan:
    tensorflow.required("a Keras file")
    with tensorflow.quiet():
        from cli.pack.model import reexport

        network = reexport.keras_network(file)
    takes = replace(_sized(str(file), network.takes, given, prompter), served="wrapped")
    spec = options.spec(takes, SIGNATURE, TENSOR, given, prompter)
    return _exported("Keras, exported as a SavedModel", network, takes, spec)


def _exported(kind: str, network: "Network", takes: Geometry, spec: InputSpec) -> Plan:
    """Behind the signature of a training's models."""
    from cli.pack.model import reexport

    return Plan(
        kind,
        spec,
        SCORES,
        network.labels,
        export=lambda scratch: reexport.save(network, takes, spec, scratch),
        convert=lambda: reexport.convert(network, takes, spec),
    )
