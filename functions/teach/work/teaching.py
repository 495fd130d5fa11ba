"""Teaching, from images to an upload: read, features, fit, publish.

Nothing is published below the accuracy that was asked for, or if the data set has a problem. A head
is published by the usual upload, which onboarding validates and proves.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from facet.errors import FacetError, Violation
from facet.heads.errors import OtherKind
from facet.keys import features_key, upload_key
from facet.observability import logger
from facet.places.choice import PASSING
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from facet.registry.teachings import State, Superseded, Teaching, Teachings
from teach.data_sets import DataSets
from teach.kinds import check_name
from teach.work import features, head
from teach.work.backbone import Backbone
from teach.work.lesson import Lesson, lesson_of
from teach.work.rules import images_of, too_much

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


UNEXPECTED = Violation(
    "failed",
    "teaching",
    "an unexpected error; the log of TeachFunction has it",
    "teach again; if it happens again, tell the operator",
)


class Stopped(FacetError):
    """A teaching that ends without a version, for these problems."""

    def __init__(self, *problems: Violation) -> None:
        super().__init__("; ".join(each.problem for each in problems))
        self.problems = problems


class Progress:
    """The teaching that is under way, as it was recorded last."""

    def __init__(self, teachings: Teachings, begun: Teaching, now: Callable[[], str]) -> None:
        self.teaching = begun
        self._teachings = teachings
        self._now = now

    def step(self, **changes: Any) -> None:
        """Records changes. Raises Superseded if another delivery has taken the work over."""
        changed = replace(self.teaching, updated_at=self._now(), **changes)
        self._teachings.record(changed)
        self.teaching = changed


class Work:
    """Does the work of teachings in one bucket and registry."""

    def __init__(
        self,
        s3: "S3Client",
        bucket: str,
        registry: Registry,
        teachings: Teachings,
        backbone: Callable[[Version], Backbone],
        now: Callable[[], str],
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._data_sets = DataSets(s3, bucket)
        self._registry = registry
        self._teachings = teachings
        self._backbone = backbone
        self._now = now

    def run(self, model: str, teaching_id: str) -> Teaching | None:
        """Teaches, and records how it ended. None if the teaching is not wanted any more.

        Raises an error that nothing here expects, after it was recorded.
        """
        try:
            begun = self._teachings.take_on(model, teaching_id, self._now())
            progress = Progress(self._teachings, begun, self._now)
            try:
                self._teach(progress)
            except Stopped as error:
                progress.step(state=State.NOT_PUBLISHED, problems=error.problems)
            except Superseded:
                raise
            except FacetError as error:
                logger().warning("teaching failed", exc_info=error)
                progress.step(state=State.FAILED, problems=(_failure(error),))
            except Exception:
                progress.step(state=State.FAILED, problems=(UNEXPECTED,))
                raise
        except Superseded as error:
            logger().warning("not taught", reason=str(error))
            return None
        return progress.teaching

    def _teach(self, progress: Progress) -> None:
        dataset = progress.teaching.dataset
        images, others = images_of([*self._data_sets.images(dataset)])
        if problems := too_much(dataset, images):
            raise Stopped(*problems)
        backbone = self._backbone(self._version_of(progress.teaching))
        progress.step(step="features", total=len(images))
        key = features_key(dataset, backbone.version.model, backbone.version.id)
        known = features.compute(
            self._data_sets,
            dataset,
            images,
            backbone,
            features.Kept(self._s3, self._bucket, key, backbone.manifest.width),
            progress.teaching.id,
            lambda done: progress.step(done=done),
        )
        progress.step(step="fitting", done=len(images))
        checked = lesson_of(dataset, images, known, others)
        progress.step(report=checked.left_out)
        if checked.lesson is None:
            raise Stopped(*checked.problems)
        self._publish(progress, backbone, checked.lesson)

    def _publish(self, progress: Progress, backbone: Backbone, taught: Lesson) -> None:
        teaching = progress.teaching
        fitted = head.fit(taught)
        names = [each.name for each in taught.images]
        report = fitted.left_out.document(taught.labels, names, teaching.min_accuracy)
        progress.step(report={**report, **(teaching.report or {})})
        accuracy = fitted.left_out.measures["accuracy"]
        if accuracy < teaching.min_accuracy:
            share = f"{accuracy:.3f} of the images are answered rightly when they are left out"
            raise Stopped(_too_low(f"{share}; the minimum is {teaching.min_accuracy:g}"))

        def read(at: int) -> bytes:
            return self._data_sets.read_listed(teaching.dataset, taught.images[at])

        try:
            version, made = head.packed(
                fitted, taught, backbone, teaching.min_accuracy, read, teaching.id
            )
            check_name(self._registry, teaching.model)
        except head.NoGoldenSample as error:
            raise Stopped(_too_low(str(error))) from error
        except OtherKind as error:
            raise Stopped(_other_kind(teaching.model, error)) from error
        progress.step(step="publishing", version=version)
        self._s3.put_object(Bucket=self._bucket, Key=upload_key(teaching.model), Body=made)
        logger().info("head published", model=teaching.model, version=version, accuracy=accuracy)
        progress.step(step="done", state=State.PUBLISHED)

    def _version_of(self, teaching: Teaching) -> Version:
        found = self._registry.find(teaching.backbone, teaching.backbone_version)
        if found is None or found.status is not Status.READY:
            raise Stopped(
                Violation(
                    "backbone-gone",
                    teaching.backbone,
                    f"its version {teaching.backbone_version} is not READY any more",
                    "teach again, on another version",
                ),
            )
        return found


def _too_low(problem: str) -> Violation:
    return Violation(
        "low-accuracy",
        "accuracy",
        problem,
        "add images of the labels that need more, look at the mistakes, or ask for a lower minimum",
    )


def _other_kind(model: str, error: OtherKind) -> Violation:
    return Violation("other-kind", model, str(error), "teach under another name")


def _failure(error: FacetError) -> Violation:
    if isinstance(error, PASSING):
        remedy = "teach again when the backbone answers"
        return Violation("backbone-away", "backbone", str(error), remedy)
    return Violation("failed", "teaching", str(error), "teach again")
