"""The comparison of a new model with the live version, on the same images.

The training job lets both answer the images that it evaluates on (training/live.py), and writes the
counts into the manifest.
"""

from dataclasses import dataclass
from typing import Self

from facet.manifest import AnyManifest
from facet.registry.models import Version
from facet.statistics import at_least


@dataclass(frozen=True)
class Comparison:
    """`new` and `live` count the images that only one of them has right.

    `channel` and `images` say which images and how many. `balanced`: the new and the live balanced
    accuracy. `clean`: the live version was not trained on any of the images, as far as is known.
    """

    channel: str
    images: int
    live_correct: int
    new: int
    live: int
    balanced: tuple[float, float]
    clean: bool

    @classmethod
    def read(cls, manifest: AnyManifest, live: Version) -> Self | None:
        """None if the manifest has no comparison with this live version."""
        known, metrics = manifest.provenance, manifest.metrics
        if known.get("compared_with") != live.id:
            return None
        channel = known.get("compared_on", "")
        try:
            return cls(
                channel,
                int(metrics["live_images"]),
                int(metrics["live_correct"]),
                int(metrics["only_new_correct"]),
                int(metrics["only_live_correct"]),
                (metrics[f"{channel}_balanced_accuracy"], metrics["live_balanced_accuracy"]),
                channel == "test" and _unseen(known.get("held_out"), live),
            )
        except KeyError:
            return None

    def worse(self, metric: str, level: float) -> bool:
        """Whether the new model is worse: significantly so or, by a balanced metric, at all."""
        if metric.endswith("balanced_accuracy"):
            return self.balanced[0] < self.balanced[1]
        return self.p <= level

    @property
    def p(self) -> float:
        """The p-value of the exact one-sided McNemar test that the new model is worse."""
        return at_least(self.live, self.new + self.live, 0.5)

    def describe(self, live: str, metric: str, level: float) -> str:
        """What was compared, on which images and how many, and the result."""
        counts = (
            f"on the same {self.images:,} {self.channel} images the live version {live} has "
            f"{self.live_correct:,} right; {self.new:,} only the new model has right, "
            f"{self.live:,} only the live version"
        )
        result = f"McNemar's exact test that it is worse: p = {self.p:.2g}, level {level:g}"
        if metric.endswith("balanced_accuracy"):
            new, before = self.balanced
            result = f"balanced accuracy {new:.4f}, live {before:.4f}"
        seen = "" if self.clean else "; the live version may have been trained on some of them"
        return f"{counts} ({result}){seen}"


def _unseen(held_out: str | None, live: Version) -> bool:
    """Whether the live version's own training held out these images.

    `held_out` is the share of `train` that the new job held out; None for a channel of its own.
    """
    if held_out is None:
        return True
    before = live.manifest.provenance.get("held_out", "0") if live.manifest else "0"
    try:
        return float(before) >= float(held_out)
    except ValueError:
        return False


def missing(manifest: AnyManifest, live: Version) -> str:
    """Why the manifest has no comparison with this live version."""
    known = manifest.provenance
    if reason := known.get("not_compared"):
        return reason
    if before := known.get("compared_with"):
        return f"the training job compared it with {before}, which was live then"
    return f"the training job could not score the live version {live.id}"
