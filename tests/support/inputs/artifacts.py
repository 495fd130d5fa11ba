"""Small valid artifacts, made without TensorFlow, to be bent out of shape by tests."""

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from PIL import Image

from facet.artifact.graphs import saved_model_pb2 as pb

LABELS = ("cat", "dog", "ship")
FEATURES = (0.5, 0.0, 2.0, 1.0)
MAPS = tuple(each * part for part in (0.5, 1.5, 0.25, 1.75) for each in FEATURES)
"""Maps of 2 x 2 positions, whose averages are FEATURES."""
FLOAT, STRING = 1, 7
LITERT = "1/assets.extra/model.tflite"

Members = Mapping[str, bytes]


def image(size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    """A generated image with a gradient in each channel, no two corners alike."""
    width, height = size
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    middle = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, middle)).convert(mode)


def encoded(source: Image.Image | None = None, kind: str = "PNG", **options: Any) -> bytes:
    """That image, or the gradient one, as a file of that kind."""
    buffer = io.BytesIO()
    (source or image()).save(buffer, kind, **options)
    return buffer.getvalue()


def manifest(**changes: Any) -> dict[str, Any]:
    """The document of a manifest; a change to None takes the field away."""
    document: dict[str, Any] = {
        "schema": 1,
        "labels": list(LABELS),
        "input": {"tensor": "image", "encoding": "uint8", "height": 8, "width": 8},
        "output": {"tensor": "scores"},
    }
    document |= changes
    return {name: value for name, value in document.items() if value is not None}


def backbone(**changes: Any) -> dict[str, Any]:
    """The document of a backbone's manifest."""
    document = manifest(
        kind="backbone",
        labels=None,
        output={"tensor": "features", "width": len(FEATURES)},
        golden={"image": "golden.png", "features": list(FEATURES)},
    )
    return document | changes


def backbone_with_maps(**changes: Any) -> dict[str, Any]:
    """The document of a backbone's manifest with maps; `changes` are those of its maps."""
    maps = {"tensor": "maps", "height": 2, "width": 2} | changes
    return backbone(output={"tensor": "features", "width": len(FEATURES), "maps": maps})


def golden(label: str = "cat", score: float = 0.7) -> dict[str, Any]:
    """The manifest's golden sample for the image `golden.png`."""
    return {"image": "golden.png", "label": label, "score": score}


def saved_model(
    *,
    signature: str = "serving_default",
    inputs: Mapping[str, tuple[int, Sequence[int] | None]] | None = None,
    outputs: Mapping[str, tuple[int, Sequence[int] | None]] | None = None,
    tags: Iterable[str] = ("serve",),
    restores: bool = False,
) -> bytes:
    """A `saved_model.pb` with one signature: tensor name → TensorFlow dtype and shape.

    `restores`: it names an op that reads its variables, as every export of TensorFlow 2 does.
    """
    model = pb.SavedModel()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.extend(tags)
    if restores:
        graph.saver_def.restore_op_name = "StatefulPartitionedCall"
    described = graph.signature_def[signature]
    for name, spec in (inputs or {"image": (STRING, [-1])}).items():
        _describe(described.inputs[name], *spec)
    for name, spec in (outputs or {"scores": (FLOAT, [-1, len(LABELS)])}).items():
        _describe(described.outputs[name], *spec)
    return model.SerializeToString()


def with_signature(
    graph: bytes,
    signature: str,
    inputs: Mapping[str, tuple[int, Sequence[int] | None]],
    outputs: Mapping[str, tuple[int, Sequence[int] | None]],
) -> bytes:
    """A `saved_model.pb` with one signature more."""
    model = pb.SavedModel.FromString(graph)
    described = model.meta_graphs[0].signature_def[signature]
    for name, spec in inputs.items():
        _describe(described.inputs[name], *spec)
    for name, spec in outputs.items():
        _describe(described.outputs[name], *spec)
    return model.SerializeToString()


def _describe(info: pb.TensorInfo, dtype: int, shape: Sequence[int] | None) -> None:
    info.dtype = dtype
    info.tensor_shape.unknown_rank = shape is None
    for size in shape or ():
        info.tensor_shape.dim.add().size = size


def litert(weights: bytes = bytes(range(256)) * 8) -> bytes:
    """A LiteRT file that passes screening: a model without operators, then `weights`.

    A flatbuffer: the position of the root table, the identifier, a vtable without fields (its own
    size, that of the table), and the table, which has only its distance from the vtable.
    """
    return struct.pack("<I4sHHi", 12, b"TFL3", 4, 4, 4) + weights


def members(**changes: Any) -> dict[str, bytes]:
    """The files of a valid artifact; `changes` are the manifest's."""
    return _members(manifest(**changes), saved_model())


def backbone_members(**changes: Any) -> dict[str, bytes]:
    """The files of a valid backbone; `changes` are the manifest's."""
    graph = saved_model(outputs={"features": (FLOAT, [-1, len(FEATURES)])})
    return _members(backbone(**changes), graph)


def backbone_members_with_maps(**changes: Any) -> dict[str, bytes]:
    """The files of a valid backbone with maps; `changes` are those of its maps."""
    files = backbone_members()
    graph = files["1/saved_model.pb"]
    inputs, outputs = {"image": (STRING, [-1])}, {"maps": (FLOAT, [-1, len(MAPS)])}
    return files | {
        "facet.json": json.dumps(backbone_with_maps(**changes)).encode(),
        "1/saved_model.pb": with_signature(graph, "maps", inputs, outputs),
    }


def _members(document: dict[str, Any], graph: bytes) -> dict[str, bytes]:
    files = {
        "facet.json": json.dumps(document).encode(),
        "1/saved_model.pb": graph,
        "1/variables/variables.index": b"index",
        "1/variables/variables.data-00000-of-00001": bytes(range(256)) * 8,
    }
    if "golden" in document:
        files["golden.png"] = encoded()
    return files


def tar(files: Members | Iterable[tarfile.TarInfo | tuple[str, bytes]]) -> bytes:
    """An uncompressed archive of files, or of members as they are given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in files.items() if isinstance(files, Mapping) else files:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each, io.BytesIO(bytes(each.size)))
                continue
            info = tarfile.TarInfo(each[0])
            info.size = len(each[1])
            archive.addfile(info, io.BytesIO(each[1]))
    return buffer.getvalue()


def packed(files: Members | Iterable[tarfile.TarInfo | tuple[str, bytes]]) -> bytes:
    """A `model.tar.gz` of those members, the same bytes each time."""
    return gzip.compress(tar(files), mtime=0)


def artifact(**changes: Any) -> bytes:
    """A valid `model.tar.gz`; `changes` are the manifest's."""
    return packed(members(**changes))


def with_litert(**changes: Any) -> bytes:
    """A valid `model.tar.gz` with a LiteRT model beside the SavedModel."""
    return packed(members(**changes) | {LITERT: litert()})
