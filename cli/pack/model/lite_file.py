"""A LiteRT model without a SavedModel: what it takes and gives, and a signature if it has none.

This module imports LiteRT's schema and flatbuffers, which come with TensorFlow's extra.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from cli.pack.errors import CannotPack
from cli.pack.model.activation import DetectedActivation
from facet.artifact.graphs.litert import IDENTIFIER
from facet.artifact.graphs.saved_model import Signature, TensorSpec

SIGNATURE, IMAGE, SCORES = "serving_default", "image", "scores"
"""The names in the signature that a model without one gets."""

OP = schema.BuiltinOperator
PASS_THROUGH = (OP.DEQUANTIZE, OP.QUANTIZE, OP.RESHAPE, OP.SQUEEZE)
DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.FLOAT16: "float16",
    schema.TensorType.INT32: "int32",
    schema.TensorType.UINT8: "uint8",
    schema.TensorType.INT8: "int8",
    schema.TensorType.INT64: "int64",
}


@dataclass(frozen=True)
class LiteModel:
    """A LiteRT model with at least one signature."""

    content: bytes
    signatures: dict[str, Signature]
    _model: Any = field(repr=False)

    def activation(self, signature: str, output: str) -> DetectedActivation:
        """Detect the activation of an output from the operator that computes it."""
        graph, wanted = self._find(signature, output, inputs=False)
        producers = {at: each for each in graph.operators for at in each.outputs}
        while wanted in producers:
            operator = producers[wanted]
            code = self._model.operatorCodes[operator.opcodeIndex]
            kind = max(code.builtinCode, code.deprecatedBuiltinCode)
            if kind == OP.SOFTMAX:
                return DetectedActivation("softmax", sure=True)
            if kind == OP.LOGISTIC:
                return DetectedActivation("sigmoid", sure=True)
            if kind not in PASS_THROUGH:
                return DetectedActivation("logits", sure=False)
            wanted = operator.inputs[0]
        return DetectedActivation(None, sure=False)

    def takes_pixels(self, signature: str, tensor: str, values: Any) -> bool:
        """Whether the input's integers are the pixels 0..255 themselves.

        `values` are what training made of the pixels 0..255.
        """
        graph, at = self._find(signature, tensor, inputs=True)
        found = graph.tensors[at]
        if found.type != schema.TensorType.UINT8 or not _is_quantised(found):
            return False
        scale, zero_point = found.quantization.scale[0], found.quantization.zeroPoint[0]
        stored = np.rint(np.asarray(values) / scale) + zero_point
        return bool(np.abs(stored - np.arange(256)).max() <= 1)

    def _find(self, signature: str, name: str, *, inputs: bool) -> tuple[Any, int]:
        (found,) = [
            each for each in self._model.signatureDefs if _text(each.signatureKey) == signature
        ]
        tensors = found.inputs if inputs else found.outputs
        (at,) = [each.tensorIndex for each in tensors if _text(each.name) == name]
        return self._model.subgraphs[found.subgraphIndex], at


def read(file: Path) -> LiteModel:
    """Read a LiteRT model, and add a signature if there is none. Raises CannotPack.

    Reshapes to one row are changed to any number of rows, if the model then answers two.
    """
    changed = _read(file, batches=True)
    return changed if _answers_two(changed.content) else _read(file, batches=False)


def _read(file: Path, *, batches: bool) -> LiteModel:
    try:
        buffer = bytearray(file.read_bytes())
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(buffer, 0))
    except Exception as error:
        raise CannotPack(f"{file} is a damaged LiteRT model: {error}; copy it again") from error
    if not model.signatureDefs:
        model.signatureDefs = [_signature(file, model)]
    for each in model.signatureDefs:
        _correct(file, model.subgraphs[each.subgraphIndex], each)
    for graph in model.subgraphs if batches else ():
        _allow_batches(model, graph)
    builder = flatbuffers.Builder(len(buffer))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return LiteModel(
        bytes(builder.Output()),
        {_text(each.signatureKey): _described(model, each) for each in model.signatureDefs},
        model,
    )


def _answers_two(content: bytes) -> bool:
    """Whether LiteRT can compute two rows at once. It is not run: it may run without end."""
    try:
        interpreter = Interpreter(model_content=content)
        for given in interpreter.get_input_details():
            interpreter.resize_tensor_input(given["index"], [2, *given["shape"][1:]])
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError):
        return False
    return True


def _signature(file: Path, model: Any) -> Any:
    graph = model.subgraphs[0]
    if len(graph.inputs) != 1:
        raise CannotPack(f"{file} takes {len(graph.inputs)} tensors; a classifier takes the image")
    several = len(graph.outputs) > 1
    outputs = [
        _mapped(_text(graph.tensors[at].name) if several else SCORES, at) for at in graph.outputs
    ]
    made = schema.SignatureDefT()
    made.signatureKey = SIGNATURE
    made.subgraphIndex = 0
    made.inputs = [_mapped(IMAGE, graph.inputs[0])]
    made.outputs = outputs
    return made


def _correct(file: Path, graph: Any, signature: Any) -> None:
    """Map a signature's names to the graph's own inputs and outputs.

    TensorFlow's quantiser put new tensors before and behind the graph, and left the old ones in the
    signature: what is written there is overwritten.
    """
    for mapped, own in ((signature.inputs, graph.inputs), (signature.outputs, graph.outputs)):
        if {each.tensorIndex for each in mapped} == {*map(int, own)}:
            continue
        if len(mapped) != 1 or len(own) != 1:
            raise CannotPack(f"{file}: its signature names other tensors than its graph")
        mapped[0].tensorIndex = int(own[0])


def _mapped(name: str, tensor: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, tensor
    return made


def _allow_batches(model: Any, graph: Any) -> None:
    """Change reshapes to one row into reshapes to any number of rows."""
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != OP.RESHAPE:
            continue
        if len(operator.inputs) > 1:
            buffer = model.buffers[graph.tensors[operator.inputs[1]].buffer]
            shape = [] if buffer.data is None else np.frombuffer(bytes(buffer.data), "<i4").tolist()
            if len(shape) > 1 and shape[0] == 1 and min(shape) > 0:
                changed = np.array([-1, *shape[1:]], "<i4")
                buffer.data = np.frombuffer(changed.tobytes(), np.uint8)
                if operator.builtinOptions is not None:
                    operator.builtinOptions.newShape = changed
    for at in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[at]
        if tensor.shape is not None and len(tensor.shape) > 1 and tensor.shape[0] == 1:
            tensor.shapeSignature = [-1, *map(int, tensor.shape[1:])]


def _described(model: Any, signature: Any) -> Signature:
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    inputs, outputs = (
        {_text(each.name): _spec(tensors[each.tensorIndex]) for each in mapped}
        for mapped in (signature.inputs, signature.outputs)
    )
    return Signature(inputs, outputs)


def _spec(tensor: Any) -> TensorSpec:
    """Quantised tensors are float32: the container takes and gives the real numbers."""
    found = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    shape = tuple(map(int, found)) if found is not None else ()
    dtype = DTYPES.get(tensor.type, f"type {tensor.type}")
    return TensorSpec("float32" if _is_quantised(tensor) else dtype, shape)


def _is_quantised(tensor: Any) -> bool:
    given = tensor.quantization
    integer = tensor.type in (schema.TensorType.UINT8, schema.TensorType.INT8)
    return integer and given is not None and given.scale is not None and len(given.scale) == 1


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
