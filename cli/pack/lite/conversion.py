"""Convert to LiteRT, and keep the model if it answers as the SavedModel does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.pack import inference
from cli.pack.errors import CannotPack
from cli.pack.model import graph_ops, tensorflow
from cli.pack.model.source import GRAPH
from cli.pack.plan import Converter, Plan
from facet import preprocess
from facet.artifact.graphs import op_policy
from facet.manifest import Manifest
from facet.specs import InputSpec
from serving.runtimes.runtime import Runtime

DRAWN_IMAGES = 16
"""Drawn images, beside the golden sample, on which the two models must agree."""


@dataclass(frozen=True)
class Reference:
    """The SavedModel in `folder`, loaded; `max_batch_size` is 1 if it answers single images only.

    `more_ops` are those that the stack's MoreOps allows.
    """

    plan: Plan
    manifest: Manifest
    folder: Path
    runtime: Runtime
    max_batch_size: int | None
    more_ops: frozenset[str]

    @property
    def random_layers(self) -> str:
        """The random layers, as a text for people, or an empty one."""
        return random_layers(self.folder, self.manifest)


@dataclass(frozen=True)
class Lite:
    """The LiteRT model's file, or None, a sentence about it, and what converted it."""

    file: Path | None
    summary: str
    converter: Converter | None = None


def convert(
    reference: Reference, image: bytes | None, scratch: Path, *, anew: bool = False
) -> Lite:
    """Use the source's own LiteRT model, or convert the SavedModel; `anew` always converts."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from training.export.export import ExportError, prove

    plan = reference.plan
    if not (plan.lite or plan.converters):
        return Lite(None, "left out: the input is a string, which LiteRT cannot decode")
    images = drawn(reference.manifest.input, image)
    own: Sequence[Converter | None] = [None] if plan.lite and not anew else plan.converters
    problems = []
    for number, converter in enumerate(own):
        file = scratch / f"{number}.tflite" if converter or not plan.lite else plan.lite
        try:
            if converter:
                file.write_bytes(converter(None))
            screen(file, reference.more_ops)
            with inference.lite(file) as other:
                one, two = (
                    inference.scorer(each, reference.manifest, reference.max_batch_size)
                    for each in (reference.runtime, other)
                )
                apart = prove(one, two, images)
        except (ExportError, CannotPack) as error:
            problems.append(str(error))
        except (ConverterError, tf.errors.OpError, *tensorflow.ERRORS) as error:
            problems.append(f"it cannot be converted: {tensorflow.reason(error)}")
        else:
            summary = f"answers as the SavedModel does, within {max(apart, 1e-9):.0e}"
            return Lite(file, summary, converter)
    random = reference.random_layers
    because = f"the model has random layers, which answer differently each time ({random})"
    return Lite(None, f"left out, {because if random else problems[0]}")


def drawn(spec: InputSpec, image: bytes | None) -> preprocess.Pixels:
    """Images on which two models are compared: drawn ones, and the golden sample's."""
    from training.export import golden

    files = [golden.draw(seed) for seed in range(DRAWN_IMAGES)] + ([image] if image else [])
    return np.stack([preprocess.geometry(spec, preprocess.decode(spec, each)) for each in files])


def random_layers(folder: Path, manifest: Manifest) -> str:
    """The random layers of a SavedModel, as a text for people, or an empty one."""
    return graph_ops.used((folder / GRAPH).read_bytes(), manifest.input.signature).random


def screen(file: Path, more_ops: frozenset[str]) -> None:
    """Raise CannotPack for a LiteRT model that onboarding would reject, before it is run."""
    for violation in op_policy.check_litert(file.name, file.read_bytes(), more_ops):
        allow = "; if the stack's MoreOps allows it, name it with --more-ops"
        control_flow = violation.code == "litert-control-flow"
        raise CannotPack(f"{violation.problem}{allow if control_flow else ''}")
