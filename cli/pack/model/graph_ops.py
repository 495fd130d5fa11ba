"""What the ops of a SavedModel's signature say: the form of its strings, and random layers."""

from dataclasses import dataclass

from facet.artifact.graphs import graph, ops, reachability
from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.graphs.graph import MetaGraph
from facet.artifact.graphs.saved_model import SERVE_TAG

DECODES_FILES = frozenset(
    {
        "DecodeAndCropJpeg",
        "DecodeBmp",
        "DecodeGif",
        "DecodeImage",
        "DecodeJpeg",
        "DecodePng",
        "DecodeWebP",
        "ExtractJpegShape",
    }
)
DECODES_PIXELS = frozenset(["DecodePaddedRaw", "DecodeRaw"])
PARSES_EXAMPLES = frozenset(["ParseExample", "ParseExampleV2", "ParseSingleExample"])

RANDOM = frozenset(ops.RANDOM.split()) - {"StatelessRandomGetAlg", "StatelessRandomGetKeyCounter"}
SHOWN = 3


@dataclass(frozen=True)
class Used:
    """The kinds of op that a signature runs, and the first node of each."""

    nodes: dict[str, str]

    @property
    def files(self) -> bool:
        """Whether it decodes image files."""
        return bool(DECODES_FILES & self.nodes.keys())

    @property
    def pixels(self) -> bool:
        """Whether it reads raw bytes."""
        return bool(DECODES_PIXELS & self.nodes.keys())

    @property
    def examples(self) -> bool:
        """Whether it parses serialized tf.Example messages."""
        return bool(PARSES_EXAMPLES & self.nodes.keys())

    @property
    def random(self) -> str:
        """The random layers, as a text for people, or an empty one."""
        found = [f"{op} in {node}" for op, node in self.nodes.items() if op in RANDOM]
        return ", ".join(sorted(found)[:SHOWN])


def used(saved_model: bytes, signature: str) -> Used:
    """Find the ops that run when the signature is called."""
    found = graph.read(saved_model)
    described = pb.SavedModel.FromString(saved_model)
    for parsed, meta in zip(found.graphs, described.meta_graphs, strict=False):
        if SERVE_TAG in parsed.tags and signature in meta.signature_def:
            outputs = meta.signature_def[signature].outputs.values()
            return _reached(parsed, [each.name.partition(":")[0] for each in outputs])
    return Used({})


def _reached(found: MetaGraph, nodes: list[str]) -> Used:
    part = reachability.reached(found, nodes, [])
    first: dict[str, str] = {}
    for use in reachability.uses(found, part):
        first.setdefault(use.op, use.node)
    return Used(first)
