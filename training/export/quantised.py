"""The LiteRT model that a job exports: quantised, unless that costs more than is allowed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet.preprocess import Pixels
from facet.recipes import Hyperparameters
from facet.specs import InputSpec
from training.dataset import Dataset, ImageSet
from training.export.litert import CannotQuantise, Quantisation, convert_module, lite_scorer
from training.export.loss import BATCH, MAX_LOSS, Kind, Loss, Scorer, draw

JUDGES = 1000
"""Images on which the two models are compared; at most this many."""


@dataclass(frozen=True, eq=False)
class Quantising:
    """What is asked for: a kind, and the share of the `judges` that it may get wrong in addition.

    `judges` are images of the `channel`; the values of `examples`, training images, set the scales
    of int8.
    """

    kind: Kind
    max_loss: float
    judges: ImageSet
    channel: str
    examples: Pixels

    @classmethod
    def of(cls, settings: Hyperparameters, data: Dataset, channel: str) -> "Quantising | None":
        """What the hyperparameters ask for. The channel is not `train`."""
        kind = settings.quantize
        if kind == "none":
            return None
        stated = settings.max_accuracy_loss
        limit = MAX_LOSS[kind] if stated is None else stated
        examples = data.train.pixels[draw(len(data.train), settings.seed)]
        return cls(kind, limit, data.sets[channel], channel, examples)

    def batches(self) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
        """Pixels and classes of at most `JUDGES` images, evenly from all."""
        step = -(-len(self.judges) // JUDGES)
        pixels, classes = self.judges.pixels[::step], self.judges.classes[::step]
        for begin in range(0, len(classes), BATCH):
            yield pixels[begin : begin + BATCH], classes[begin : begin + BATCH]


@dataclass(frozen=True)
class LiteModel:
    """A LiteRT file, a function that runs it, and what the manifest says about it."""

    content: bytes
    scorer: Scorer
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=lambda: {"litert_weights": "float32"})

    def instead_of(self, kind: Kind, reason: str) -> "LiteModel":
        """This one, because the quantised one was refused."""
        print(f"quantize={kind} refused={reason}", flush=True)
        return replace(self, provenance={**self.provenance, "not_quantised": f"{kind}: {reason}"})


def lite_model(
    module: tf.Module, spec: InputSpec, quantisation: Quantisation | None = None
) -> LiteModel:
    """Converts a module's `serve`. Raises CannotQuantise."""
    content = convert_module(module, spec, quantisation)
    return LiteModel(content, lite_scorer(content, spec))


def quantise(asked: Quantising, module: tf.Module, spec: InputSpec, full: LiteModel) -> LiteModel:
    """The quantised model, or `full` if it cannot be made or loses too much."""
    try:
        made = lite_model(module, spec, Quantisation(asked.kind, [*asked.examples]))
    except CannotQuantise as error:
        return full.instead_of(asked.kind, str(error))
    if len(made.content) >= len(full.content):
        return full.instead_of(asked.kind, "the file is no smaller")
    loss = Loss.measure(full.scorer, made.scorer, asked.batches())
    print(f"quantize={asked.kind} channel={asked.channel} measured={loss}", flush=True)
    if not loss.is_within(asked.max_loss):
        return full.instead_of(asked.kind, f"it may lose {asked.max_loss:g}, but has {loss}")
    return replace(
        made,
        metrics=loss.metrics,
        provenance={
            "litert_weights": asked.kind,
            "litert_compared_on": asked.channel,
            "litert_max_accuracy_loss": f"{asked.max_loss:g}",
        },
    )
