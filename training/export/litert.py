"""Conversion of a SavedModel to LiteRT: with float32 as it is, or quantised.

Input and output keep their names and types, so that the answers of all these files are comparable.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow.lite.python.convert_phase import ConverterError

from facet.errors import FacetError
from facet.preprocess import Pixels
from facet.specs import InputSpec
from training.export.graph import SCORES, save_module, signatures
from training.export.loss import Kind, Scorer, Scores

SIMPLE = (
    schema.BuiltinOperator.SOFTMAX,
    schema.BuiltinOperator.LOGISTIC,
    schema.BuiltinOperator.MUL,
    schema.BuiltinOperator.ADD,
    schema.BuiltinOperator.SUB,
    schema.BuiltinOperator.DIV,
    schema.BuiltinOperator.CAST,
    schema.BuiltinOperator.RESHAPE,
    schema.BuiltinOperator.SQUEEZE,
)
"""Operators that follow a network's last layer."""


class CannotQuantise(FacetError):
    """LiteRT's converter cannot make the quantised model."""


@dataclass(frozen=True)
class Quantisation:
    """A kind, and for int8 the inputs, without a batch axis, whose values set the scales."""

    kind: Kind
    examples: Sequence[NDArray[Any]] = ()


def convert_module(
    module: tf.Module, spec: InputSpec, quantisation: Quantisation | None = None
) -> bytes:
    """Converts the signatures of a module. Raises CannotQuantise, and the converter's errors."""
    with tempfile.TemporaryDirectory() as folder:
        save_module(module, spec, Path(folder))
        return convert_saved_model(Path(folder), spec, quantisation, [*signatures(module, spec)])


def convert_saved_model(
    folder: Path,
    spec: InputSpec,
    quantisation: Quantisation | None = None,
    names: Sequence[str] = (),
) -> bytes:
    """Converts signatures of a SavedModel, by default the one that `spec` names; they share their
    weights. Raises CannotQuantise, and the converter's errors.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder), signature_keys=[*names] or [spec.signature]
    )
    if quantisation is None:
        return bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantisation.kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        if quantisation.kind == "int8":
            return _with_integers(converter, spec, quantisation.examples)
        return bytes(converter.convert())
    except (ConverterError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CannotQuantise(f"LiteRT cannot quantise the model: {reason}") from error


def _with_integers(
    converter: tf.lite.TFLiteConverter, spec: InputSpec, examples: Sequence[NDArray[Any]]
) -> bytes:
    """The last layer keeps float32: with int8 it cost MobileNet ten points.

    TensorFlow's way to leave operators out is the debugger of its quantiser.
    """

    def inputs() -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        for each in examples:
            yield spec.signature, {spec.tensor: np.ascontiguousarray(each[None])}

    converter.representative_dataset = inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the debugger's own interpreter is deprecated
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter)
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=last_layer(debugger.calibrated_model)
        )
        return bytes(debugger.get_nondebug_quantized_model())


def last_layer(model: bytes) -> list[str]:
    """The names of what a LiteRT model's last layer gives, and of what is made of that."""
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(model), 0))
    graph, names = read.subgraphs[0], []
    producers = {at: each for each in graph.operators for at in each.outputs}
    waiting = [*graph.outputs]
    while waiting:
        at = waiting.pop()
        if at not in producers:
            continue
        names.append(graph.tensors[at].name.decode())
        code = read.operatorCodes[producers[at].opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) in SIMPLE:
            waiting += [*producers[at].inputs]
    return names


def lite_scorer(model: bytes, spec: InputSpec, output: str = SCORES) -> Scorer:
    """Returns a function that runs a LiteRT model which a recipe trained."""
    runner = Interpreter(model_content=model).get_signature_runner(spec.signature)

    def scores(pixels: Pixels) -> Scores:
        return np.asarray(runner(**{spec.tensor: pixels})[output])

    return scores
