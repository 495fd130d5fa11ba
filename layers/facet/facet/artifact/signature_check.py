"""Compares the manifest with the signatures of the models: names, dtypes, shapes and labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from facet.artifact.graphs.saved_model import Signature, TensorSpec
from facet.artifact.manifest_file import Parts
from facet.errors import Violation
from facet.keys import MANIFEST
from facet.places.predict_call import MAX_BODY
from facet.specs import InputSpec

LEAST = {"float": 2.0, "uint8": 4 / 3, "jpeg": 0.0}
"""The least bytes that one value takes in a request: `0,` in JSON, or base64. Files are as large as
they are."""

SHOWN = 20
"""Names that a remedy lists."""


@dataclass(frozen=True)
class Fields:
    """Where the manifest says what a signature is called, what it takes and what it answers."""

    signature: str
    input: str
    output: str
    width: str


OWN = Fields(
    f"{MANIFEST}.input.signature",
    f"{MANIFEST}.input.tensor",
    f"{MANIFEST}.output.tensor",
    f"{MANIFEST}.output.width",
)
OF_MAPS = Fields(
    f"{MANIFEST}.output.maps.signature",
    f"{MANIFEST}.output.maps.signature",
    f"{MANIFEST}.output.maps.tensor",
    f"{MANIFEST}.output.maps",
)


def check(parts: Parts, found: Mapping[str, Signature]) -> Iterator[Violation]:
    """The differences between a manifest's valid parts and the SavedModel's signature that it
    names, and that of a backbone's maps.
    """
    yield from _check(parts, OWN, found)
    if parts.of_maps:
        yield from _check(parts.of_maps, OF_MAPS, found)


def check_litert(place: str, parts: Parts, found: Mapping[str, Signature]) -> Iterator[Violation]:
    """How the LiteRT model in the file `place` differs from what a backbone's manifest says about
    maps. They must take what the features take, whatever that is.
    """
    maps = parts.of_maps
    if maps is None or maps.signature is None:
        return
    if maps.signature not in found:
        yield Violation(
            "signature-missing",
            place,
            f"the LiteRT model has no signature '{maps.signature}', which output.maps names",
            f"convert it with both signatures; it has: {_listed(found) or 'none'}",
        )
        return
    signature, own = found[maps.signature], found.get(parts.signature or "")
    if own and own.inputs != signature.inputs:
        yield Violation(
            "input-shape",
            place,
            f"the signature '{maps.signature}' takes {_inputs(signature)}; that of the features "
            f"takes {_inputs(own)}",
            "convert both signatures with the same input",
        )
    for each in _output(maps, OF_MAPS, signature):
        yield replace(each, place=place)


def _check(parts: Parts, fields: Fields, found: Mapping[str, Signature]) -> Iterator[Violation]:
    if parts.signature is None:
        return
    if parts.signature not in found:
        yield Violation(
            "signature-missing",
            fields.signature,
            f"the SavedModel has no signature '{parts.signature}'",
            f"use one that it has: {_listed(found) or 'it has none'}",
        )
        return
    yield from _input(parts, fields, found[parts.signature])
    yield from _output(parts, fields, found[parts.signature])


def sendable(spec: InputSpec) -> Iterator[Violation]:
    """Whether one image fits into a request; if not, a proof could exceed the function's memory."""
    least = int(spec.size * LEAST[spec.encoding])
    if least > MAX_BODY:
        yield Violation(
            "input-too-large",
            f"{MANIFEST}.input",
            f"one image takes at least {least:,} bytes; a request has at most {MAX_BODY:,}",
            "export a signature that takes uint8, or smaller images",
        )


def _input(parts: Parts, fields: Fields, signature: Signature) -> Iterator[Violation]:
    place = fields.input
    if parts.tensor is None:
        return
    if parts.tensor not in signature.inputs:
        yield _no_tensor(place, parts.tensor, "input", signature.inputs)
        return
    if len(signature.inputs) > 1:
        yield Violation(
            "several-inputs",
            place,
            f"the signature takes {len(signature.inputs)} tensors; a classifier takes one",
            "export a signature that takes only the image",
        )
    tensor = signature.inputs[parts.tensor]
    expected = "float32" if parts.encoding == "float" else "string"
    if parts.encoding and tensor.dtype != expected:
        yield Violation(
            "input-dtype",
            place,
            f"encoding '{parts.encoding}' sends {expected}; the signature takes {tensor.dtype}",
            "set the encoding that fits, or export a signature that takes this one",
        )
    elif parts.spec and not _matches(_shape(parts.spec), tensor):
        yield Violation(
            "input-shape",
            place,
            f"the manifest gives {list(_shape(parts.spec))}; the signature takes {_shown(tensor)}",
            "set height, width, channels and layout to those that the model was trained with",
        )


def _shape(spec: InputSpec) -> tuple[int, ...]:
    if spec.encoding != "float":
        return (-1,)
    if spec.layout == "flat":
        return (-1, spec.size)
    return (-1, spec.height, spec.width, spec.channels)


def _output(parts: Parts, fields: Fields, signature: Signature) -> Iterator[Violation]:
    place, name = fields.output, parts.output
    if name is None:
        return
    if name not in signature.outputs:
        yield _no_tensor(place, name, "output", signature.outputs)
        return
    tensor = signature.outputs[name]
    if tensor.dtype == "string":
        yield Violation(
            "output-dtype",
            place,
            "the output is text; it must be one score for each label",
            "use the tensor of the scores, or export a signature that has it",
        )
    elif parts.features and not _matches((-1, parts.features), tensor):
        yield Violation(
            "output-width",
            fields.width,
            f"the manifest gives {parts.features} values, but the output's shape is "
            f"{_shown(tensor)}",
            "name an output with one flat row of values for each image, and its size",
        )
    elif parts.width and not _matches((-1, parts.width), tensor):
        binary = " with 'binary'" if parts.binary else ""
        yield Violation(
            "output-width",
            place,
            f"there are {parts.labels} labels{binary}, but the output's shape is {_shown(tensor)}",
            "list one label for each score, in the order of the output; for one score and two "
            "labels set output.binary",
        )


def _matches(shape: tuple[int, ...], tensor: TensorSpec) -> bool:
    """Whether a tensor has that shape; -1 on either side matches any size."""
    if tensor.shape is None:
        return True
    return len(shape) == len(tensor.shape) and all(
        -1 in (ours, theirs) or ours == theirs
        for ours, theirs in zip(shape, tensor.shape, strict=True)
    )


def _shown(tensor: TensorSpec) -> str:
    shape = tensor.shape or ()
    return f"{list(shape[:SHOWN])}" + (" …" if len(shape) > SHOWN else "")


def _no_tensor(place: str, name: str, kind: str, names: Mapping[str, TensorSpec]) -> Violation:
    return Violation(
        "tensor-missing",
        place,
        f"the signature has no {kind} '{name}'",
        f"use one that it has: {_listed(names) or 'it has none'}",
    )


def _inputs(signature: Signature) -> str:
    some = [*signature.inputs.items()][:SHOWN]
    return ", ".join(f"{name}: {each.dtype} {_shown(each)}" for name, each in some) or "nothing"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)[:SHOWN])
