"""`facet teach` on a deployed stack, whose API answers about teaching what its tests say."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from cli.teach import run as teach_run
from cli.train.run import Training
from facet.manifest import HeadManifest
from facet.registry.heads.backbones import Backbones
from facet.registry.models import Version
from facet.registry.teachings import Teaching, Teachings, utc_now
from tests.support import deployed
from tests.support.aws.fakes import BUCKET
from tests.support.deployed import Gateway, facet
from tests.support.inputs import heads
from tests.support.inputs.artifacts import FEATURES
from tests.support.versions import VIOLATION, backbone, make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("cold_start")

REPORT = {
    "images": 6,
    "accuracy": 0.8333,
    "accuracy_low": 0.4365,
    "accuracy_high": 0.9699,
    "calibration_error": {"before": 0.21, "after": 0.1},
    "temperature": 1.25,
    "labels": [
        {"label": "cat", "images": 3, "correct": 2},
        {"label": "dog", "images": 3, "correct": 3},
    ],
    "confused": [{"label": "cat", "as": "dog", "images": 1}],
    "more_images": ["cat"],
    "mistakes": [{"label": "cat", "name": "1.png", "answered": "dog", "score": 0.61}],
    "skipped": [{"image": "cat/9.png", "problem": "The image is damaged."}],
    "duplicates": [["dog/1.png", "dog/2.png"]],
}

EARLY = {name: REPORT[name] for name in ("skipped", "duplicates")}
"""The report before the head is fitted."""


def state(status: str, step: str, **more: Any) -> dict[str, Any]:
    """The API's document about a teaching."""
    return {
        "model": "pets",
        "teaching": "1",
        "status": status,
        "step": step,
        "done": 0,
        "total": 0,
        "dataset": "pets",
        "backbone": {"model": "backbone", "version": "0123456789ab"},
        "version": None,
        "problems": [],
        "report": None,
        **more,
    }


@dataclass
class Teacher:
    """Answers the API's routes for teaching: `first` to POST, then `states` in turn to GET.

    Before the last of these it calls `published`, which stands for the upload and onboarding.
    """

    states: list[dict[str, Any]]
    published: Callable[[], object] = lambda: None
    first: tuple[int, dict[str, Any]] = (202, state("RUNNING", "reading"))
    asked: list[Any] = field(default_factory=list)

    def __call__(self, method: str, body: bytes) -> tuple[int, Any]:
        if method == "POST":
            self.asked.append(json.loads(body))
            return self.first
        if len(self.states) == 1:
            self.published()
        return 200, self.states.pop(0)


@pytest.fixture
def gateway(table: "Table", s3: "S3Client", monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:  # noqa: ARG001
    monkeypatch.setattr(teach_run, "DEPLOYED_INTERVAL", 0.01)
    with deployed.gateway() as running:
        deployed.deploy(running.url, table.name)
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three different images of each of two labels."""
    for seed, label in enumerate(("cat", "dog")):
        for number in range(3):
            pixels = np.random.default_rng([seed, number]).integers(0, 256, (12, 12, 3))
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "photos"


def teaches(gateway: Gateway, table: "Table", model: str = "pets", **changes: Any) -> Teacher:
    """A teaching that publishes a version which is READY at once."""
    ready: Version = pending(1, model)
    states = [
        state("RUNNING", "features", done=3, total=6, report=EARLY),
        state("PUBLISHED", "done", version=ready.id, report=REPORT),
    ]
    if not Backbones(table).names():
        make_live(table, backbone(1, "eyes"))
    teacher = Teacher(states, lambda: make_live(table, ready))
    for name, value in changes.items():
        setattr(teacher, name, value)
    gateway.others[f"/models/{model}/teach"] = teacher
    return teacher


def stored(s3: "S3Client") -> list[str]:
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="datasets/").get("Contents", [])
    return [each["Key"] for each in found]


def test_it_uploads_teaches_reports_and_waits_until_ready(
    gateway: Gateway, table: "Table", s3: "S3Client", photos: Path
) -> None:
    teacher = teaches(gateway, table)
    done = facet("teach", "pets", str(photos), "--min-accuracy", "0.6", "--backbone", "eyes")
    assert done.exit_code == 0, done.output
    assert teacher.asked == [{"dataset": "pets", "backbone": "eyes", "min_accuracy": 0.6}]
    assert stored(s3)[0] == "datasets/pets/train/cat/0.png"
    assert len(stored(s3)) == 6
    assert "pets: computing features, 3 of 6" in done.stderr
    for part in (
        "pets: 6 images of 2 labels on backbone 0123456789ab",
        "accuracy 0.833 (0.436 to 0.970 with 95 % confidence)",
        "calibration error 0.100, 0.210 before the temperature 1.25",
        "these labels need more images: cat",
        "cat/1.png was answered dog (0.61)",
        "left out cat/9.png: The image is damaged.",
        "copies of one image: dog/1.png, dog/2.png",
        f"pets {pending(1).id}: READY",
        "/?model=pets",
    ):
        assert part in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["cat", "3", "2", "dog", "(1)"] in rows
    assert ["dog", "3", "3"] in rows


def test_a_second_run_removes_what_the_folder_has_no_more(
    gateway: Gateway, table: "Table", s3: "S3Client", photos: Path
) -> None:
    for name in ("pets", "pets-2"):
        teaches(gateway, table, name)
        assert facet("teach", name, str(photos), "--dataset", "pets").exit_code == 0
        (photos / "cat/0.png").unlink(missing_ok=True)
    assert "datasets/pets/train/cat/0.png" not in stored(s3)
    assert len(stored(s3)) == 5


def test_json_is_one_document_with_the_teaching_and_the_version(
    gateway: Gateway, table: "Table", photos: Path
) -> None:
    teaches(gateway, table)
    done = facet("teach", "pets", str(photos), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["report"] == REPORT
    assert document["onboarding"]["status"] == "READY"
    assert document["onboarding"]["live"]


def test_without_a_folder_it_teaches_the_images_that_are_there(
    gateway: Gateway, table: "Table", s3: "S3Client"
) -> None:
    s3.put_object(Bucket=BUCKET, Key="datasets/zoo/train/cat/1.png", Body=b"1")
    teacher = teaches(gateway, table)
    assert facet("teach", "pets", "--dataset", "zoo").exit_code == 0
    assert teacher.asked == [{"dataset": "zoo"}]
    assert stored(s3) == ["datasets/zoo/train/cat/1.png"]


@pytest.mark.parametrize("status", ["NOT_PUBLISHED", "FAILED"])
@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_what_is_not_published_is_exit_code_1_with_the_reasons(
    gateway: Gateway, table: "Table", photos: Path, status: str, extra: tuple[str, ...]
) -> None:
    problem = {name: getattr(VIOLATION, name) for name in ("code", "place", "problem", "remedy")}
    last = state(status, "fitting", problems=[problem], report=REPORT)
    teaches(gateway, table, states=[last], published=lambda: None)
    done = facet("teach", "pets", str(photos), *extra)
    assert done.exit_code == 1
    if extra:
        assert json.loads(done.stdout) == last
    else:
        assert f"pets: {status}, nothing was published" in done.stdout
        assert VIOLATION.problem in done.stdout
        assert "cat/1.png was answered dog" in done.stdout


def test_problems_of_images_come_without_an_accuracy(
    gateway: Gateway, table: "Table", photos: Path
) -> None:
    problem = {name: getattr(VIOLATION, name) for name in ("code", "place", "problem", "remedy")}
    last = state("NOT_PUBLISHED", "reading", problems=[problem], report=EARLY)
    teaches(gateway, table, states=[last], published=lambda: None)
    done = facet("teach", "pets", str(photos))
    assert done.exit_code == 1
    assert "left out cat/9.png: The image is damaged." in done.stdout
    assert VIOLATION.problem in done.stdout
    assert "accuracy" not in done.stdout


def test_the_apis_refusal_is_the_error(gateway: Gateway, table: "Table", photos: Path) -> None:
    refusal = 409, {"detail": "The model 'pets' is being taught."}
    teaches(gateway, table, first=refusal)
    done = facet("teach", "pets", str(photos))
    assert done.exit_code == 1
    assert "error: The model 'pets' is being taught." in done.stderr


def test_a_teaching_without_an_end_is_left_alone(
    gateway: Gateway, table: "Table", photos: Path
) -> None:
    endless = [state("RUNNING", "features", done=1, total=6)] * 100_000
    teaches(gateway, table, states=endless)
    done = facet("teach", "pets", str(photos), "--timeout", "0.1")
    assert done.exit_code == 1
    assert "computing features, 1 of 6. It goes on; `facet watch pets`" in done.stderr


@pytest.mark.usefixtures("gateway")
def test_the_name_of_a_model_of_another_kind_is_refused_before_any_upload(
    table: "Table", s3: "S3Client", photos: Path
) -> None:
    make_live(table, pending(1, "pets"))
    make_live(table, backbone(1, "eyes"))
    for name, kind in (("pets", "classifier"), ("eyes", "backbone")):
        done = facet("teach", name, str(photos))
        assert done.exit_code == 1
        assert f"'{name}' is a {kind}, and teaching makes heads" in done.stderr
    assert stored(s3) == []


@pytest.mark.usefixtures("gateway")
def test_a_backbone_that_is_not_there_is_refused_before_any_upload(
    table: "Table", s3: "S3Client", photos: Path
) -> None:
    done = facet("teach", "pets", str(photos))
    assert (done.exit_code, "facet pack --backbone" in done.stderr) == (2, True)
    make_live(table, pending(1, "cifar"))
    make_live(table, backbone(1, "eyes"))
    for name, words in (
        ("ears", "There is no model 'ears'"),
        ("eyes@0123456789ab", "0123456789ab"),
        ("eyes@latest", "NAME@VERSION"),
        ("cifar", "no backbone"),
    ):
        done = facet("teach", "pets", str(photos), "--backbone", name)
        assert done.exit_code != 0
        assert words in done.stderr
    assert stored(s3) == []


@pytest.mark.usefixtures("gateway")
def test_images_that_cannot_be_taught_are_refused_before_any_upload(
    table: "Table", s3: "S3Client", photos: Path
) -> None:
    """All reasons at once, in the words of a teaching: nothing is split off for validation."""
    make_live(table, backbone(1, "eyes"))
    for number in (1, 2):
        (photos / f"cat/{number}.png").unlink()
    shutil.copy(photos / "dog/0.png", photos / "dog/1.png")
    (photos / "fox").mkdir()
    shutil.copy(photos / "dog/2.png", photos / "fox/0.png")
    (photos / "owl").mkdir()
    (photos / "owl/0.png").write_bytes(b"no image")
    done = facet("teach", "pets", str(photos))
    assert done.exit_code == 1
    error = next(each for each in done.stderr.splitlines() if each.startswith("error: "))
    for words in (
        "nothing was uploaded: class 'owl' has no readable image",
        "fox/0.png: the same image is 'dog/2.png', under another label (delete it from one",
        "cat: it has 1 image that can be used (add images until",
        "fox: it has 0 images that can be used",
    ):
        assert words in error
    assert "validation" not in error
    assert stored(s3) == []


@pytest.mark.usefixtures("gateway")
def test_no_image_is_changed_while_they_are_taught(
    table: "Table", s3: "S3Client", photos: Path
) -> None:
    make_live(table, backbone(1, "eyes"))
    now = utc_now()
    teaching = Teaching("pets", "1", "pets", "eyes", pending(1).id, 0.7, now, now)
    Teachings(table).start(teaching)
    done = facet("teach", "pets", str(photos))
    assert (done.exit_code, "'pets' is being taught" in done.stderr) == (1, True)
    assert stored(s3) == []


@pytest.mark.usefixtures("gateway")
def test_more_images_than_can_be_taught_are_not_uploaded_for_a_head(
    table: "Table", s3: "S3Client", photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teach_run, "MAX_IMAGES", 5)
    eyes = make_live(table, backbone(1, "eyes"))
    on = {"model": "eyes", "version": eyes.id, "width": len(FEATURES)}
    manifest = HeadManifest.model_validate(heads.manifest(backbone=on))
    make_live(table, replace(pending(2, "pets"), manifest=manifest))
    done = facet("teach", "pets", str(photos))
    assert (done.exit_code, "'pets' is a head, and a training job" in done.stderr) == (1, True)
    assert stored(s3) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Pets", "photos"), "NAME"),
        (("pets", "photos", "--fine-tune", "--backbone", "b"), "--backbone"),
        (("pets", "--min-accuracy", "2"), "--min-accuracy"),
        (("pets", "--dataset", "A b"), "--dataset"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], words: str) -> None:
    done = facet("teach", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("extra", "most", "method"),
    [(("--fine-tune",), 5_000, {"method": "fine-tune"}), ((), 5, {})],
    ids=["asked for", "too many images"],
)
def test_a_training_job_takes_over(
    gateway: Gateway,
    table: "Table",
    s3: "S3Client",
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    extra: tuple[str, ...],
    most: int,
    method: dict[str, str],
) -> None:
    jobs: list[Training] = []

    def train(training: Training, *_: object) -> bool:
        jobs.append(training)
        return True

    monkeypatch.setattr(teach_run, "MAX_IMAGES", most)
    monkeypatch.setattr(teach_run, "train", train)
    teacher = teaches(gateway, table)
    done = facet("teach", "pets", str(photos), *extra, "--min-accuracy", "0.8")
    assert done.exit_code == 0, done.output
    assert teacher.asked == []
    (training,) = jobs
    assert training.job == {
        "model": "pets",
        "recipe": "image-folder",
        "dataset": "pets",
        "hyperparameters": method,
        "minimum": 0.8,
    }
    assert (training.upload, training.wait, training.epochs) == (False, True, 40)
    assert len(stored(s3)) == 6
    assert ("are more than the 5" in done.stderr) == (not extra)
