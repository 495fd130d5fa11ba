"""Plan how a source becomes a model that takes images in a form that Facet sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cli.pack import options
from cli.pack.errors import CannotPack
from cli.pack.model import graph_ops, tensorflow
from cli.pack.model.activation import DetectedActivation
from cli.pack.model.geometry import BYTES, Geometry
from cli.pack.model.signature import Selection, choose, choose_name
from cli.pack.model.source import (
    GRAPH,
    FrozenGraph,
    KerasFile,
    LiteFile,
    SavedModelFolder,
    Source,
)
from cli.pack.options import InputOptions
from cli.terminal.prompts import Prompter
from facet import preprocess
from facet.artifact.archive import MAX_GRAPH
from facet.artifact.graphs import graph
from facet.artifact.graphs.saved_model import Signature, TensorSpec, UnreadableSavedModel
from facet.specs import InputSpec, MapSpec

if TYPE_CHECKING:
    from cli.pack.model.reexport import Network
    from training.export.litert import Quantisation

LITE = Path("assets.extra", "model.tflite")
SIGNATURE, TENSOR, SCORES = "serving_default", "image", "scores"
"""The names in models exported here, as in `training.export.graph`."""

Converter = Callable[["Quantisation | None"], bytes]
"""Makes the LiteRT model, quantised or with float32. Raises CannotQuantise, and the converter's."""


@dataclass(frozen=True)
class Names:
    """The command line's names of a signature and its tensors; None if not given."""

    signature: str | None = None
    input: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class Plan:
    """A model with a known input.

    `labels` is the number of scores, or None if unknown. `export` returns the SavedModel's folder;
    a new one is written into the folder passed to it. `converters` make the LiteRT model, the best
    way first; there are none if there cannot be one. `lite` is a LiteRT model from the source.
    `again` plans an export, for a SavedModel that otherwise goes into the artifact unchanged.
    `detected` is the activation in a LiteRT model without a SavedModel: `export` writes that alone.
    `maps` are those of a backbone that has them.
    """

    kind: str
    spec: InputSpec
    output: str
    labels: int | None
    export: Callable[[Path], Path]
    converters: Sequence[Converter] = ()
    lite: Path | None = None
    again: "Callable[[], Plan] | None" = None
    detected: DetectedActivation | None = None
    maps: MapSpec | None = None


def plan(
    source: Source, input_options: InputOptions, prompter: Prompter, names: Names = Names()
) -> Plan:
    """Read the source and ask for what is missing. Raises CannotPack, MissingOption."""
    match source:
        case KerasFile():
            return _plan_keras(source, input_options, prompter, names)
        case FrozenGraph():
            return _plan_frozen(source, input_options, prompter, names)
        case SavedModelFolder():
            return _plan_saved(source.folder, input_options, prompter, names)
        case LiteFile():
            return _plan_lite(source, input_options, prompter, names)


def _plan_saved(
    folder: Path, input_options: InputOptions, prompter: Prompter, names: Names
) -> Plan:
    content = (folder / GRAPH).read_bytes()
    try:
        known = graph.read(content).signatures()
    except UnreadableSavedModel as error:
        raise CannotPack(f"{folder / GRAPH}: {error}") from error
    chosen = choose(
        known,
        prompter,
        signature=names.signature,
        tensor=names.input,
        output=names.output,
    )
    what = f"signature '{chosen.signature}'"
    takes = _image_geometry(what, chosen.takes, input_options, prompter)
    if takes.served == "bytes":
        takes = _strings(what, takes, graph_ops.used(content, chosen.signature), known)
    served = takes.served != "reexported" and chosen.plain and not chosen.keys
    if not served or len(content) > MAX_GRAPH:
        tensorflow.required(f"an input of {chosen.takes.dtype} {list(chosen.takes.shape or ())}")
        form = takes if chosen.takes.dtype == BYTES else replace(takes, served="reexported")
        spec = options.spec(form, SIGNATURE, TENSOR, input_options, prompter)
        return _plan_reexport(folder, chosen, takes, spec)
    return _plan_unchanged(folder, chosen, takes, input_options, prompter)


def _strings(
    what: str, takes: Geometry, used: graph_ops.Used, known: Mapping[str, Signature]
) -> Geometry:
    """Tell raw pixels, image files and tf.Example messages apart by the ops that read them."""
    if used.examples:
        others = ", ".join(sorted(known))
        raise CannotPack(
            f"{what} takes serialized tf.Example messages, not images: choose another --signature "
            f"(there are {others}), or export one that takes the image's tensor"
        )
    return replace(takes, served="files") if used.files and not used.pixels else takes


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

    def direct(quantisation: "Quantisation | None") -> bytes:
        from training.export.litert import convert_saved_model

        return convert_saved_model(folder, spec, quantisation)

    def frozen(quantisation: "Quantisation | None") -> bytes:
        from cli.pack.model import freezing
        from training.export.litert import convert_module

        scores = freezing.frozen(folder, chosen.signature, chosen.input, chosen.output)
        module = freezing.module(scores, spec, chosen.output, takes.own)
        return convert_module(module, spec, quantisation)

    def again() -> Plan:
        named = {"signature": SIGNATURE, "tensor": TENSOR}
        if takes.served == "float":
            named |= {"encoding": "uint8", "layout": "hwc"}
        return _plan_reexport(folder, chosen, takes, spec.model_copy(update=named))

    brought = folder / LITE
    return Plan(
        "SavedModel",
        spec,
        chosen.output,
        chosen.labels,
        export=lambda _: folder,
        converters=(direct, frozen) if takes.served == "float" else (),
        lite=brought if brought.is_file() else None,
        again=again,
    )


def _plan_reexport(folder: Path, chosen: Selection, takes: Geometry, spec: InputSpec) -> Plan:
    with tensorflow.quiet():
        from cli.pack.model import reexport

        network = reexport.saved_network(folder, chosen)
    return _plan_exported("SavedModel, exported again", network, takes, spec)


def _plan_keras(
    source: KerasFile, input_options: InputOptions, prompter: Prompter, names: Names
) -> Plan:
    tensorflow.required("a Keras file")
    with tensorflow.quiet():
        from cli.pack.model import keras_file, reexport

        model = keras_file.load(source)
    network = reexport.keras_network(source, model, names.output, prompter)
    takes = replace(
        _image_geometry(str(source.file), network.takes, input_options, prompter),
        served="reexported",
    )
    spec = options.spec(takes, SIGNATURE, TENSOR, input_options, prompter)
    return _plan_exported("Keras, exported as a SavedModel", network, takes, spec)


def _plan_frozen(
    source: FrozenGraph, input_options: InputOptions, prompter: Prompter, names: Names
) -> Plan:
    tensorflow.required("a frozen graph")
    with tensorflow.quiet():
        from cli.pack.model import freezing, reexport

        known = freezing.graph_signature(source.file)
    image = choose_name(known.inputs, names.input, prompter, "--input", "input")
    alone = Signature({image: known.inputs[image]}, known.outputs)
    chosen = choose({SIGNATURE: alone}, prompter, output=names.output)
    takes = replace(
        _image_geometry(str(source.file), chosen.takes, input_options, prompter),
        served="reexported",
    )
    spec = options.spec(takes, SIGNATURE, TENSOR, input_options, prompter)
    with tensorflow.quiet():
        network = reexport.frozen_network(source.file, chosen)
    return _plan_exported("frozen graph, exported as a SavedModel", network, takes, spec)


def _plan_lite(
    source: LiteFile, input_options: InputOptions, prompter: Prompter, names: Names
) -> Plan:
    tensorflow.required("a LiteRT model")
    from cli.pack.model import lite_file

    model = lite_file.read(source.file)
    chosen = choose(
        model.signatures,
        prompter,
        signature=names.signature,
        tensor=names.input,
        output=names.output,
    )
    takes = _image_geometry(str(source.file), chosen.takes, input_options, prompter)
    if chosen.takes.dtype == "uint8":
        takes = replace(takes, served="bytes")
    if takes.served == "reexported" or not chosen.plain:
        raise CannotPack(
            f"{source.file} takes {chosen.takes.dtype} {list(chosen.takes.shape or ())} and gives "
            f"'{chosen.output}'; Facet sends float32 or uint8 images with channels last, and takes "
            "one row of scores. Pack the SavedModel or Keras file that it was converted from"
        )
    spec = options.spec(takes, chosen.signature, chosen.input, input_options, prompter)
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None, None], spec.channels, axis=3)
    values = preprocess.normalise(spec, greys)
    if spec.encoding == "float" and all(
        model.takes_pixels(chosen.signature, chosen.input, values[..., channel].ravel())
        for channel in range(spec.channels)
    ):
        spec = spec.model_copy(update={"encoding": "uint8", "layout": "hwc"})

    def export(scratch: Path) -> Path:
        file = scratch / LITE
        file.parent.mkdir(parents=True)
        file.write_bytes(model.content)
        return scratch

    return Plan(
        "LiteRT",
        spec,
        chosen.output,
        chosen.labels,
        export=export,
        detected=model.activation(chosen.signature, chosen.output),
    )


def _plan_exported(kind: str, network: "Network", takes: Geometry, spec: InputSpec) -> Plan:
    """Plan an export with the signature of models that Facet trains."""
    from cli.pack.model import reexport

    strings = network.takes.dtype == BYTES
    return Plan(
        kind,
        spec,
        SCORES,
        network.labels,
        export=lambda scratch: reexport.save(network, takes, spec, scratch),
        converters=() if strings else (partial(reexport.convert, network, takes, spec),),
    )
