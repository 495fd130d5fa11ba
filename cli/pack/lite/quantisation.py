"""Quantise the LiteRT model, and measure on labelled images what that costs."""

import math
from dataclasses import dataclass
from pathlib import Path

from cli.pack import inference
from cli.pack.errors import CannotPack
from cli.pack.lite.conversion import Lite, Reference, screen
from cli.pack.lite.images import LabelledImages
from facet.manifest import Manifest
from training.export.loss import MAX_LOSS, Kind, Loss

SHOWN = 5
"""Names in a remark."""


@dataclass(frozen=True)
class QuantiseOptions:
    """`max_loss` is the share of `images` that the model may get wrong in addition."""

    kind: Kind
    images: Path
    max_loss: float | None = None

    @classmethod
    def of(
        cls, kind: Kind | None, images: Path | None, max_loss: float | None, *, lite: bool
    ) -> "QuantiseOptions | None":
        """Those of the command line. Raises CannotPack."""
        if kind is None:
            if images or max_loss is not None:
                raise CannotPack("--images and --max-accuracy-loss are for --quantize; add that")
            return None
        if not lite:
            raise CannotPack(f"--quantize {kind} is for the LiteRT model; leave --no-lite out")
        if images is None:
            raise CannotPack(
                f"--quantize {kind} needs --images DIR, with images at DIR/<label>/<image> that "
                "the model was not trained on: the accuracies of both are compared on them"
            )
        if not images.exists():
            raise CannotPack(f"--images {images}: there is no such folder or zip")
        return cls(kind, images, max_loss)

    @property
    def limit(self) -> float:
        return MAX_LOSS[self.kind] if self.max_loss is None else self.max_loss


@dataclass(frozen=True)
class Quantised:
    """The quantised model's file, a sentence about it, remarks about the images, and a manifest
    that says what was measured.
    """

    file: Path
    summary: str
    remarks: list[str]
    manifest: Manifest


def quantise(
    options: QuantiseOptions,
    images: LabelledImages,
    reference: Reference,
    lite: Lite,
    scratch: Path,
) -> Quantised:
    """Quantise the model of which `lite` is the float32 version. Raises CannotPack."""
    from training.export.litert import CannotQuantise, Quantisation

    if lite.file is None or lite.converter is None:
        raise CannotPack(f"--quantize {options.kind} needs a LiteRT model: {lite.summary}")
    manifest, file = reference.manifest, scratch / f"{options.kind}.tflite"
    try:
        file.write_bytes(lite.converter(Quantisation(options.kind, images.inputs())))
    except CannotQuantise as error:
        raise CannotPack(f"--quantize {options.kind}: {error}") from error
    screen(file, reference.more_ops)
    before, after = (each.stat().st_size for each in (lite.file, file))
    if after >= before:
        raise CannotPack(
            f"--quantize {options.kind} makes the file no smaller: it had {before:,} bytes, and "
            f"has {after:,}. Leave the option out"
        )
    with inference.lite(lite.file) as full, inference.lite(file) as small:
        one, two = (
            inference.scorer(each, manifest, reference.max_batch_size) for each in (full, small)
        )
        loss = Loss.measure(one, two, images.batches())
    _check(options, loss)
    return Quantised(
        file,
        f"{options.kind}, {after / 1e6:.2f} MB instead of {before / 1e6:.2f}: {loss}",
        _remarks(options, images, loss),
        manifest.model_copy(
            update={
                "metrics": manifest.metrics | loss.metrics,
                "provenance": manifest.provenance | _provenance(options, images),
            }
        ),
    )


def _check(options: QuantiseOptions, loss: Loss) -> None:
    if not loss.is_within(options.limit):
        raise CannotPack(
            f"{options.kind} costs more accuracy than the {options.limit:g} of --max-accuracy-loss:"
            f" {loss}. {_advice(options, loss)}"
        )


def _advice(options: QuantiseOptions, loss: Loss) -> str:
    if not math.isfinite(loss.largest):
        return "Its scores are not numbers: some values are too large. Leave --quantize out"
    lost = math.ceil((loss.float_correct - loss.correct) / loss.images * 1e4) / 1e4
    other = "Leave --quantize out" if options.kind == "float16" else "Use --quantize float16"
    return f"{other}, or allow it with --max-accuracy-loss {lost:g}"


def _remarks(options: QuantiseOptions, images: LabelledImages, loss: Loss) -> list[str]:
    remarks = [f"skipped {each}" for each in images.skipped]
    seen = {each.label for each in images.judges}
    if missing := [label for label in images.manifest.labels if label not in seen]:
        named = ", ".join(missing[:SHOWN]) + (" …" if len(missing) > SHOWN else "")
        remarks.append(f"{options.images} has no image of {len(missing):,} labels: {named}")
    if 0 < options.limit * loss.images < 1:
        remarks.append(
            f"{loss.images:,} images are few: one of them is {1 / loss.images:.3f} of the accuracy"
        )
    return remarks


def _provenance(options: QuantiseOptions, images: LabelledImages) -> dict[str, str]:
    name = options.images.resolve().name
    return {
        "litert_weights": options.kind,
        "litert_compared_on": f"{name}/{images.channel}" if images.channel else name,
        "litert_max_accuracy_loss": f"{options.limit:g}",
    }
