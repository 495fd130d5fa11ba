"""Teaching, from the images of a data set to an upload, and every reason why there is none."""

import io
import json
import tarfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from facet.artifact.validation import MAX_PIXELS
from facet.errors import BadRequest, EndpointUnavailable, FacetError, UnknownDataSet, UnknownModel
from facet.heads import weights
from facet.heads.errors import NotABackbone, OtherKind, TeachingRunning, UnknownTeaching
from facet.keys import features_key
from facet.manifest import HeadManifest
from facet.registry.teachings import TIMEOUT, State, Superseded, Teaching
from teach.data_sets import StoredImage
from teach.work import backbone as asked
from teach.work import features
from teach.work.head import small
from tests.integration.teach.conftest import COLOURS, SPEC, Stack, square
from tests.support.aws.fakes import BUCKET
from tests.support.onboarding import Account, identity
from tests.support.versions import backbone, make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

UPLOAD = "mme/squares.tar.gz"


def artifact(s3: "S3Client") -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=UPLOAD)["Body"].read()


def codes(teaching: Teaching) -> list[str]:
    return [each.code for each in teaching.problems]


def test_a_head_is_taught_and_uploaded(stack: Stack) -> None:
    stack.add()
    started = stack.start()
    assert (started.state, started.backbone, stack.handed_over) == (
        State.RUNNING,
        "colours",
        [("squares", "t1")],
    )
    ended = stack.work()
    assert ended is not None
    assert (ended.state, ended.step, ended.done, ended.total) == (State.PUBLISHED, "done", 18, 18)
    assert ended.version == identity(artifact(stack.s3))
    assert ended.report is not None
    assert (ended.report["images"], ended.report["accuracy"]) == (18, 1.0)
    assert [each["label"] for each in ended.report["labels"]] == sorted(COLOURS)
    assert (ended.report["skipped"], ended.report["duplicates"]) == ([], [])


@pytest.mark.parametrize(("scale", "shift"), [(1e10, 0), (1e-7, 0), (1, 1e4)])
def test_the_weights_are_as_exact_as_the_features_need(
    stack: Stack, scale: float, shift: float
) -> None:
    """float16 has no numbers above 65,504 or below 6e-8, and three digits."""
    stack.add()
    stack.place.scale, stack.place.shift = scale, shift
    ended = stack.teach()
    assert ended.report is not None
    assert (ended.state, ended.report["accuracy"]) == (State.PUBLISHED, 1.0)
    with tarfile.open(fileobj=io.BytesIO(artifact(stack.s3))) as files:
        content = files.extractfile("head.npz")
        assert content
        head = weights.read(content.read(), labels=3, width=6)
    for at, label in enumerate(sorted(COLOURS)):
        (row,) = stack.backbone.features([square(COLOURS[label], 77)], "r1")
        assert not isinstance(row, FacetError)
        assert head.answer(row[None])[0].scores.argmax() == at


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 70_000), (1, 65_500)),
        ((2000, 3000), (1664, 2496)),
        ((9, 6), (9, 6)),
        ((90, 60), (12, 8)),
    ],
)
def test_a_golden_image_is_one_that_onboarding_takes(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """A JPEG has sides of up to 65,500 pixels, and a golden image 4,194,304 pixels."""
    side = 1900 if max(size) == 3000 else 8
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    spec = SPEC.model_copy(update={"height": side, "width": side})
    with Image.open(io.BytesIO(small(spec, file.getvalue()))) as image:
        assert image.size == expected
        assert image.width * image.height <= MAX_PIXELS


def test_ten_more_images_cost_ten(stack: Stack) -> None:
    stack.add(images=6)
    stack.teach()
    before = stack.place.images
    stack.add(images=2, first=6)
    ended = stack.teach("t2")
    golden = 1
    assert stack.place.images - before == 2 * len(COLOURS) + golden
    assert ended.report is not None
    assert ended.report["images"] == 8 * len(COLOURS)


def test_the_same_images_make_the_same_version(stack: Stack) -> None:
    stack.add()
    assert stack.teach().version == stack.teach("t2").version


def test_features_are_kept_while_more_are_computed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a minute some hundred images of 30 megapixels are done, and Lambda ends the function."""
    written = []
    write = features.Kept.write

    def counted(self: features.Kept, known: Mapping[str, features.Known]) -> None:
        written.append(len(known))
        write(self, known)

    monkeypatch.setattr(features.Kept, "write", counted)
    monkeypatch.setattr(features, "SAVE_AFTER", 0)
    monkeypatch.setattr(features, "WINDOW", 8)
    stack.add()
    assert stack.teach().state is State.PUBLISHED
    assert written == [8, 16, 18]


def test_few_large_files_are_in_memory_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "WINDOW_BYTES", 100)
    monkeypatch.setattr(features, "WINDOW", 3)
    sizes = [40, 60, 1, 200, 10, 10, 10, 10]
    images = [StoredImage("a", f"{at}.png", size, str(at), "") for at, size in enumerate(sizes)]
    windows = [[each.size for each in window] for window in features._windows(images)]
    assert windows == [[40, 60], [1], [200], [10, 10, 10], [10]]


def test_an_image_that_is_larger_than_the_memory_is_left_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.add()
    stack.data_sets.put("squares", "red", "huge.png", square(COLOURS["red"], 7) + bytes(10_000))
    monkeypatch.setattr(features, "MAX_BYTES", 10_000)
    ended = stack.teach()
    assert ended.state is State.PUBLISHED
    assert ended.report is not None
    (left_out,) = ended.report["skipped"]
    assert left_out["image"] == "red/huge.png"
    assert "up to 10,000 are taught. Add a smaller copy." in left_out["problem"]


def test_labels_are_renamed_without_new_features(stack: Stack) -> None:
    stack.add()
    stack.teach()
    before = stack.place.images
    stack.data_sets.rename("squares", "red", "crimson")
    ended = stack.teach("t2")
    assert ended.report is not None
    assert {each["label"] for each in ended.report["labels"]} == {"blue", "crimson", "green"}
    assert stack.place.images - before == 1


def test_a_file_of_features_that_cannot_be_read_is_made_anew(stack: Stack) -> None:
    stack.add()
    stack.teach()
    key = features_key("squares", "colours", f"{1:012x}")
    assert stack.s3.head_object(Bucket=BUCKET, Key=key)
    stack.s3.put_object(Bucket=BUCKET, Key=key, Body=b"PK\x03\x04 damaged")
    assert stack.teach("t2").state is State.PUBLISHED


def test_unreadable_images_are_left_out_and_named(stack: Stack) -> None:
    stack.add()
    stack.data_sets.put("squares", "red", "broken.png", b"\x89PNG\r\n\x1a\n")
    stack.data_sets.put("squares", "red", "notes.txt", b"x")
    ended = stack.teach()
    assert ended.state is State.PUBLISHED
    assert ended.report is not None
    assert [each["image"] for each in ended.report["skipped"]] == [
        "red/notes.txt",
        "red/broken.png",
    ]
    assert ended.report["skipped_images"] == 2


def test_copies_count_once(stack: Stack) -> None:
    stack.add()
    stack.data_sets.put("squares", "red", "copy.png", square(COLOURS["red"], 0))
    ended = stack.teach()
    assert ended.report is not None
    assert ended.report["duplicates"] == [["red/0.png", "red/copy.png"]]
    assert ended.report["images"] == 18


def test_one_image_under_two_labels_is_a_problem(stack: Stack) -> None:
    stack.add()
    stack.data_sets.put("squares", "blue", "9.png", square(COLOURS["red"], 0))
    ended = stack.teach()
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["two-labels"])
    assert ended.problems[0].place == "red/0.png"
    assert "blue/9.png" in ended.problems[0].problem
    assert stack.uploads() == []


def test_labels_that_no_head_can_have_are_named(stack: Stack) -> None:
    """Such objects come from other programs: the API takes 200 bytes, and the folder has a name."""
    stack.add()
    for at in range(2):
        for label in ("b" * 200, "b" * 201):
            content = square(COLOURS["blue"], 100 * len(label) + at)
            stack.data_sets.put("squares", label, f"{at}.png", content)
    stack.data_sets.put("squares", "", "1.png", square(COLOURS["blue"], 1))
    ended = stack.teach()
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["long-label"])
    assert ended.problems[0].problem == "it has 201 characters; a label has up to 200"
    assert stack.place.images == 0


def test_all_problems_are_reported_at_once(stack: Stack) -> None:
    stack.add(labels=["red"], images=1)
    ended = stack.teach()
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["few-labels", "few-images"])
    assert ended.problems[1].place == "red"


def test_a_label_whose_images_cannot_be_read_is_a_problem(stack: Stack) -> None:
    stack.add()
    for at in range(6):
        stack.data_sets.put("squares", "red", f"{at}.png", b"nothing %d" % at)
    ended = stack.teach()
    assert (codes(ended), ended.problems[0].place) == (["few-images"], "red")
    assert ended.report is not None
    assert ended.report["skipped_images"] == 6


def test_below_the_minimum_nothing_is_published_and_the_report_says_why(stack: Stack) -> None:
    """Labels that have nothing to do with the colour of their images."""
    for at in range(20):
        stack.data_sets.put("squares", "ab"[at % 2], f"{at}.png", square(COLOURS["red"], at))
    ended = stack.teach(min_accuracy=0.99)
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["low-accuracy"])
    assert ended.report is not None
    assert ended.report["confused"]
    assert ended.report["more_images"]
    assert ended.report["mistakes"]
    assert stack.uploads() == []


def test_without_an_image_that_is_answered_rightly_nothing_is_published(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no golden sample then, whatever minimum was asked for."""
    stack.add()
    same = np.ones(6, np.float32)
    monkeypatch.setattr(stack.place, "classify", lambda *batch: [same] * len(batch[2]))
    ended = stack.teach(min_accuracy=0)
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["low-accuracy"])
    assert ended.problems[0].problem == "no image is answered rightly when it is left out"


def test_a_backbone_that_is_away_is_asked_again(stack: Stack) -> None:
    stack.add()
    stack.place.errors = [EndpointUnavailable("Away.")] * 3
    assert stack.teach().state is State.PUBLISHED


def test_a_backbone_that_stays_away_fails_the_teaching(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "PATIENCE", -1)
    stack.add()
    stack.place.errors = [EndpointUnavailable("Away.")] * 99
    ended = stack.teach()
    assert (ended.state, codes(ended)) == (State.FAILED, ["backbone-away"])
    assert stack.uploads() == []


def test_an_image_that_is_replaced_meanwhile_fails_the_teaching(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its new features would be kept under the digest of its old content."""
    monkeypatch.setattr(features, "WINDOW", 4)
    stack.add()
    asked_before = stack.place.classify

    def classify(*arguments: Any) -> list[Any]:
        stack.data_sets.put("squares", "red", "5.png", square(COLOURS["red"], 77))
        return asked_before(*arguments)

    monkeypatch.setattr(stack.place, "classify", classify)
    ended = stack.teach()
    assert ended.state is State.FAILED
    assert "'red/5.png' of data set 'squares' was replaced" in ended.problems[0].problem
    monkeypatch.setattr(stack.place, "classify", asked_before)
    assert stack.teach("t2").state is State.PUBLISHED


def test_a_batch_on_which_the_model_fails_is_sent_one_by_one(stack: Stack) -> None:
    stack.add()
    stack.place.most = 1
    assert stack.teach().state is State.PUBLISHED


def test_a_backbone_that_is_gone_is_a_problem(stack: Stack) -> None:
    stack.add()
    stack.start()
    key = {"model": "colours", "item": f"version#{1:012x}"}
    stack.table.delete_item(Key=key)
    ended = stack.work()
    assert ended is not None
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["backbone-gone"])


def test_the_item_has_no_bytes_which_the_local_stack_does_not_keep(stack: Stack) -> None:
    stack.add()
    stack.teach()
    item = stack.table.get_item(Key={"model": "squares", "item": "teaching"})["Item"]
    assert {type(each) for each in item.values()} == {str, Decimal}


# --- one at a time, and once ----------------------------------------------------------------


def test_the_longest_report_fits_into_an_item(stack: Stack) -> None:
    """1,000 labels and 100 entries of each list, with names of 200 bytes that share nothing."""
    random = np.random.default_rng(1)
    names = [b64encode(random.bytes(150)).decode() for _ in range(1200)]
    labels = names[:1000]
    pairs = [*zip(labels, reversed(names), strict=False)][:100]
    report = {
        "labels": [{"label": each, "images": 5, "correct": 2} for each in labels],
        "more_images": labels,
        "confused": [{"label": one, "as": other, "images": 1} for one, other in pairs],
        "mistakes": [
            {"label": one, "name": other, "answered": one, "score": 0.5} for one, other in pairs
        ],
        "skipped": [{"image": f"{one}/{other}", "problem": "damaged"} for one, other in pairs],
        "duplicates": [[f"{one}/{other}", f"{other}/{one}"] for one, other in pairs],
    }
    stack.add(images=1)
    begun = stack.start()
    stack.teachings.record(replace(begun, report=report))
    assert stack.teachings.find("squares").report == report
    item = stack.table.get_item(Key={"model": "squares", "item": "teaching"})["Item"]
    assert len(str(item["document"])) < 390_000


def test_one_teaching_runs_at_a_time(stack: Stack) -> None:
    stack.add()
    stack.start()
    with pytest.raises(TeachingRunning, match="squares"):
        stack.start(teaching="t2")
    stack.work()
    stack.start(teaching="t2")


def test_a_repeated_event_publishes_nothing_more(stack: Stack) -> None:
    stack.add()
    stack.teach()
    assert stack.work() is None
    assert stack.uploads() == [UPLOAD]


def test_what_was_killed_is_taken_over_and_cannot_write_any_more(stack: Stack) -> None:
    stack.add()
    stack.start()
    killed = stack.teachings.take_on("squares", "t1", stack.teachings.find("squares").updated_at)
    ended = stack.work()
    assert ended is not None
    assert (ended.state, ended.attempt) == (State.PUBLISHED, 2)
    with pytest.raises(Superseded):
        stack.teachings.record(replace(killed, done=1))
    assert stack.teachings.find("squares") == ended


def test_a_silent_teaching_has_failed_and_can_be_started_again(stack: Stack) -> None:
    stack.add()
    started = stack.start()
    later = datetime.now(UTC) + timedelta(seconds=TIMEOUT + 1)
    seen = started.as_of(later.isoformat(timespec="milliseconds"))
    assert (seen.state, codes(seen)) == (State.FAILED, ["ended"])
    old = (datetime.now(UTC) - timedelta(seconds=TIMEOUT + 1)).isoformat(timespec="milliseconds")
    stack.teachings.record(replace(started, updated_at=old))
    assert stack.work() is None, "a late event of it changes nothing"
    assert stack.teach("t2").state is State.PUBLISHED


def test_a_deleted_model_is_not_taught_back_to_life(stack: Stack) -> None:
    account = Account(stack.s3, stack.table)
    stack.add()
    stack.start()
    make_live(stack.table, pending(2, "squares"))
    account.deletion.delete("squares", "tests")
    assert stack.work() is None
    with pytest.raises(UnknownTeaching):
        stack.teachings.find("squares")
    assert stack.uploads() == []


# --- what is refused at once ----------------------------------------------------------------


def test_what_cannot_be_taught_is_refused_at_once(stack: Stack) -> None:
    with pytest.raises(UnknownDataSet, match="'none'"):
        stack.start(dataset="none")
    stack.add()
    with pytest.raises(UnknownModel):
        stack.start(backbone="nothing")
    with pytest.raises(BadRequest, match="NAME@VERSION"):
        stack.start(backbone="colours@1")
    make_live(stack.table, backbone(3, "textures"))
    with pytest.raises(BadRequest, match="name one: colours, textures"):
        stack.start()
    make_live(stack.table, pending(2, "cifar"))
    with pytest.raises(NotABackbone):
        stack.start(backbone="cifar")
    with pytest.raises(OtherKind, match="classifier"):
        stack.start(model="cifar")
    with pytest.raises(UnknownTeaching):
        stack.teachings.find("cifar")


def test_a_name_that_a_whole_model_takes_meanwhile_is_left_alone(stack: Stack) -> None:
    stack.add()
    stack.start()
    make_live(stack.table, pending(2, "squares"))
    ended = stack.work()
    assert ended is not None
    assert (ended.state, codes(ended)) == (State.NOT_PUBLISHED, ["other-kind"])
    assert stack.uploads() == []


def test_the_manifest_names_the_backbone_and_what_was_measured(stack: Stack) -> None:
    stack.add()
    stack.teach(min_accuracy=0.9)
    with tarfile.open(fileobj=io.BytesIO(artifact(stack.s3))) as members:
        file = members.extractfile("facet.json")
        assert file
        manifest = HeadManifest.model_validate(json.load(file))
    assert (manifest.backbone.model, manifest.backbone.width) == ("colours", 6)
    assert manifest.metrics["images"] == 18
    assert manifest.metrics["min_accuracy"] == 0.9
    assert manifest.golden.label in COLOURS
