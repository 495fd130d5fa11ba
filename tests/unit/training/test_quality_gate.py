"""functions/train/quality_gate.py: what is read of an artifact, and what is decided."""

import gzip
import hashlib
import io
import random
from dataclasses import replace

import pytest

from facet.artifact import archive, validation
from facet.artifact.archive import MAX_MANIFEST
from facet.manifest import Manifest
from facet.registry.models import Status, Version
from tests.support.inputs import artifacts
from train.quality_gate import Candidate, Gate, NoManifest, NoMetric, TooLarge, judge, read

GATE = Gate(metric="validation_accuracy", minimum=0.75, allow_worse=False)


def manifest(**metrics: float) -> Manifest:
    return Manifest.model_validate(artifacts.manifest(metrics=metrics))


def live(**metrics: float) -> Version:
    found = manifest(**metrics)
    return Version("cats", "0" * 12, Status.READY, "0" * 64, 1, "2026-01-01", manifest=found)


def read_bytes(artifact: bytes) -> Candidate:
    return read(io.BytesIO(artifact), len(artifact))


def test_the_version_is_the_one_that_onboarding_will_give() -> None:
    artifact = artifacts.artifact(metrics={"validation_accuracy": 0.9})
    candidate = read_bytes(artifact)
    assert candidate.version == hashlib.sha256(artifact).hexdigest()[:12]
    assert candidate.manifest.metrics == {"validation_accuracy": 0.9}


def test_the_manifest_is_found_where_sagemaker_put_it() -> None:
    files = artifacts.members()
    moved = {f"./{name}": files[name] for name in sorted(files)}
    assert next(iter(moved)) != "./facet.json"
    assert read_bytes(artifacts.packed(moved)).manifest == read_bytes(artifacts.artifact()).manifest


class Counted(io.BytesIO):
    """Remembers the largest read."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self.largest = max(self.largest, len(block))
        return block


def test_a_large_artifact_is_read_in_blocks_to_its_end() -> None:
    noise = random.Random(1).randbytes(6 << 20)
    artifact = artifacts.packed(artifacts.members() | {"1/variables/big": noise})
    stream = Counted(artifact)
    assert read(stream, len(artifact)).version == hashlib.sha256(artifact).hexdigest()[:12]
    assert stream.largest <= 1 << 20


def long_manifest(size: int) -> bytes:
    """An artifact whose manifest is valid and has so many bytes."""
    files = artifacts.members()
    files["facet.json"] = files["facet.json"].ljust(size)
    return artifacts.packed(files)


WRAPPED = artifacts.packed({f"model/{name}": data for name, data in artifacts.members().items()})
REJECTED = {
    "empty": (b"", "not gzip"),
    "no gzip": (b"no gzip", "not gzip"),
    "no tar": (gzip.compress(b"no tar" * 1000), "not contain a tar"),
    "cut short": (artifacts.artifact()[:-40], "ends in the middle"),
    "no manifest": (artifacts.packed({"1/saved_model.pb": b"x"}), "no facet.json"),
    "in a wrapper": (WRAPPED, "no facet.json at the top"),
    "no JSON": (artifacts.packed({"facet.json": b"{"}), "facet.json: Invalid JSON"),
    "fields": (artifacts.packed({"facet.json": b'{"schema": 1}'}), r"facet\.json\.labels: "),
    "long": (long_manifest(MAX_MANIFEST + 1), "300,001 bytes"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_an_artifact_without_a_valid_manifest_is_rejected(case: str) -> None:
    artifact, reason = REJECTED[case]
    with pytest.raises(NoManifest, match=reason):
        read_bytes(artifact)


@pytest.mark.parametrize("case", REJECTED)
def test_onboarding_rejects_the_same_artifacts(case: str) -> None:
    found = archive.read(io.BytesIO(REJECTED[case][0]))
    assert validation.run(found)[1]


def test_the_longest_manifest_that_onboarding_accepts_can_be_judged() -> None:
    assert (
        read_bytes(long_manifest(MAX_MANIFEST)).manifest
        == read_bytes(artifacts.artifact()).manifest
    )


@pytest.mark.parametrize(
    ("reached", "before", "verdict", "reason"),
    [
        (0.80, None, "PUBLISH", "0.8000 reaches the minimum 0.7500; there was no live"),
        (0.75, None, "PUBLISH", "0.7500 reaches the minimum"),
        (0.7499, None, "BELOW_MINIMUM", "0.7499 is below the minimum 0.7500"),
        (0.70, 0.60, "BELOW_MINIMUM", "below"),
        (0.80, 0.79, "PUBLISH", "the live version 000000000000 has 0.7900"),
        (0.80, 0.80, "PUBLISH", "has 0.8000"),
        (0.80, 0.81, "WORSE", "0.8000 is worse: the live version 000000000000 has 0.8100"),
    ],
)
def test_the_verdict(reached: float, before: float | None, verdict: str, reason: str) -> None:
    now = live(validation_accuracy=before) if before is not None else None
    found = judge(manifest(validation_accuracy=reached), GATE, now)
    assert found.verdict == verdict
    assert reason in found.reason


def test_a_minimum_of_zero_is_not_mentioned() -> None:
    anything = GATE.model_copy(update={"minimum": 0})
    found = judge(manifest(validation_accuracy=0.5), anything, None)
    assert found.reason == ("validation_accuracy 0.5000; there was no live version to compare with")


def test_worse_may_be_allowed_but_not_below_the_minimum() -> None:
    lenient = GATE.model_copy(update={"allow_worse": True})
    now = live(validation_accuracy=0.9)
    found = judge(manifest(validation_accuracy=0.8), lenient, now)
    assert (found.verdict, "being worse is allowed" in found.reason) == ("PUBLISH", True)
    assert judge(manifest(validation_accuracy=0.7), lenient, now).verdict == "BELOW_MINIMUM"


def test_what_cannot_be_compared_is_not_replaced_unless_that_is_allowed() -> None:
    """The live version states another metric, nothing at all, or has other labels."""
    good = manifest(validation_accuracy=0.8)
    bare = Version("cats", "0" * 12, Status.READY, "0" * 64, 1, "2026-01-01")
    other = Manifest.model_validate(
        artifacts.manifest(metrics={"validation_accuracy": 0.1}, labels=["x", "y", "z"])
    )
    strangers = [live(test_accuracy=0.9), bare, replace(bare, manifest=other)]
    for stranger, reason in zip(
        strangers, ["has no validation_accuracy", "has no", "other labels"], strict=True
    ):
        found = judge(good, GATE, stranger)
        assert found.verdict == "WORSE"
        assert reason in found.reason
        assert "allow_worse" in found.reason
        lenient = GATE.model_copy(update={"allow_worse": True})
        assert judge(good, lenient, stranger).verdict == "PUBLISH"


def test_an_artifact_without_the_metric_cannot_be_judged() -> None:
    with pytest.raises(NoMetric, match="no validation_accuracy; it has test_accuracy"):
        judge(manifest(test_accuracy=1.0), GATE, None)
    with pytest.raises(NoMetric, match="no metrics at all"):
        judge(manifest(), GATE, None)


ANY = Gate(metric="accuracy", minimum=0, allow_worse=False)
COUNTS = {"test_accuracy": 0.8205, "test_images": 713, "test_correct": 585}
OF_SELECTION = {"validation_accuracy": 0.867, "validation_images": 30, "validation_correct": 26}


def test_test_images_decide_before_those_that_chose_the_epoch() -> None:
    found = judge(manifest(**OF_SELECTION, **COUNTS), ANY, None)
    assert found.reason == (
        "test_accuracy 0.8205 (585 of 713 test images right; 0.791 to 0.847 with 95 % confidence); "
        "there was no live version to compare with"
    )
    chosen = judge(manifest(**OF_SELECTION, **COUNTS), GATE, None)
    assert chosen.reason.startswith("validation_accuracy 0.8670 (26 of 30 validation images right")


def test_without_test_images_the_reason_says_what_the_images_were_used_for() -> None:
    found = judge(manifest(**OF_SELECTION), ANY, None)
    assert "26 of 30 validation images right, which also chose the epoch; 0.703 to" in found.reason


def test_the_reason_says_which_images_were_held_out() -> None:
    document = artifacts.manifest(metrics=COUNTS, provenance={"held_out": "0.1"})
    found = judge(Manifest.model_validate(document), ANY, None)
    assert "test images right, held out of train (test-share 0.1); 0.791" in found.reason


def test_the_balanced_accuracy_is_that_of_the_test_images() -> None:
    balanced = ANY.model_copy(update={"metric": "balanced_accuracy"})
    found = judge(manifest(test_balanced_accuracy=0.5, **COUNTS), balanced, None)
    assert found.reason.startswith("test_balanced_accuracy 0.5000; ")


def test_an_artifact_that_s3_cannot_copy_is_refused_unread() -> None:
    class Unread:
        def read(self, amount: int, /) -> bytes:
            raise AssertionError(amount)

    with pytest.raises(TooLarge, match="5,368,709,121 bytes; the limit is 5,368,709,120"):
        read(Unread(), archive.MAX_PACKED + 1)
