"""A stack that teaches: data sets of coloured squares, and a backbone that sees mean colours."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from facet.errors import ModelFailed
from facet.manifest import AnyManifest, BackboneManifest
from facet.places.choice import Choice
from facet.preprocess import Pixels, Tensor
from facet.registry.heads.backbones import Backbones
from facet.registry.models import RunIn, Version
from facet.registry.store import Registry
from facet.registry.teachings import Teaching, Teachings, utc_now
from facet.specs import FeatureSpec, GoldenFeatures, InputSpec
from teach.data_sets import DataSets
from teach.requests import TeachRequest
from teach.start import Start
from teach.work.backbone import Backbone
from teach.work.teaching import Work
from tests.support.aws.fakes import BUCKET
from tests.support.versions import make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

SPEC = InputSpec(tensor="image", height=8, width=8, encoding="uint8")
MANIFEST = BackboneManifest(
    schema=1,
    kind="backbone",
    input=SPEC,
    output=FeatureSpec(tensor="features", width=6),
    golden=GoldenFeatures(image="golden.png", features=(1.0,) * 6),
)
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def square(colour: tuple[int, int, int], seed: int) -> bytes:
    """A PNG of a colour, with noise."""
    noise = np.random.default_rng(seed).integers(-30, 30, (12, 12, 3))
    file = io.BytesIO()
    Image.fromarray((noise + colour).clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@dataclass
class ColoursPlace:
    """A place whose model's features are the means and deviations of the channels.

    `images` counts what it was asked for, `errors` are raised first, `most` images fit. Features
    are multiplied by `scale`, and `shift` is added.
    """

    images: int = 0
    errors: list[Exception] = field(default_factory=list)
    most: int = 100
    scale: float = 1
    shift: float = 0

    def classify(
        self,
        version: Version,
        manifest: AnyManifest,  # noqa: ARG002
        batch: Sequence[Pixels | Tensor],
        request_id: str,
    ) -> list[Any]:
        assert version.model == "colours"
        assert request_id
        if self.errors:
            raise self.errors.pop()
        if len(batch) > self.most:
            raise ModelFailed("too many at once")
        self.images += len(batch)
        pixels = np.stack(batch).reshape(len(batch), -1, 3) / 255
        rows = np.concatenate([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)
        return list((rows * self.scale + self.shift).astype(np.float32))


@dataclass
class Stack:
    """`place` is the backbone's, `handed_over` are the events of the function that teaches."""

    s3: "S3Client"
    table: "Table"
    place: ColoursPlace = field(default_factory=ColoursPlace)
    handed_over: list[tuple[str, str]] = field(default_factory=list)
    now: str = ""

    @classmethod
    def of(cls, s3: "S3Client", table: "Table") -> "Stack":
        """With the backbone `colours`, which is live."""
        version = replace(
            pending(1, "colours"), manifest=MANIFEST, litert_size=1, litert_sha256="0" * 64
        )
        make_live(table, version)
        return cls(s3, table)

    @property
    def data_sets(self) -> DataSets:
        return DataSets(self.s3, BUCKET)

    @property
    def teachings(self) -> Teachings:
        return Teachings(self.table)

    def add(self, images: int = 6, labels: Sequence[str] = tuple(COLOURS), first: int = 0) -> None:
        for number, label in enumerate(labels):
            for at in range(first, first + images):
                content = square(COLOURS[label], 1000 * number + at)
                self.data_sets.put("squares", label, f"{at}.png", content)

    def start(self, model: str = "squares", teaching: str = "t1", **request: Any) -> Teaching:
        def hand_over(*event: str) -> None:
            self.handed_over.append((event[0], event[1]))

        start = Start(
            self.data_sets,
            Registry(self.table),
            Backbones(self.table),
            self.teachings,
            hand_over,
        )
        return start.start(model, TeachRequest(**{"dataset": "squares"} | request), teaching)

    @property
    def backbone(self) -> Backbone:
        return self._on(Registry(self.table).live("colours"))

    def _on(self, version: Version) -> Backbone:
        return Backbone(
            version, None, Choice(RunIn.ENDPOINT), lambda *_: self.place, 5, 10**6, lambda _: 0
        )

    def work(self, model: str = "squares", teaching: str = "t1") -> Teaching | None:
        clock = (lambda: self.now) if self.now else utc_now
        work = Work(self.s3, BUCKET, Registry(self.table), self.teachings, self._on, clock)
        return work.run(model, teaching)

    def teach(self, teaching: str = "t1", **request: Any) -> Teaching:
        self.start(teaching=teaching, **request)
        ended = self.work(teaching=teaching)
        assert ended is not None
        assert self.teachings.find(ended.model) == ended
        return ended

    def uploads(self) -> list[str]:
        listed = self.s3.list_object_versions(Bucket=BUCKET, Prefix="mme/")
        return [each["Key"] for each in listed.get("Versions", [])]


@pytest.fixture
def stack(functions: None, s3: "S3Client", table: "Table") -> Stack:  # noqa: ARG001
    return Stack.of(s3, table)
