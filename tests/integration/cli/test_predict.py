"""`facet predict`, `models`, `show` against the API's own handler, over HTTP."""

import base64
import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.app import app
from facet.manifest import HeadManifest
from facet.registry.models import Mode, Policy
from facet.registry.releases import Releases
from facet.registry.store import Registry
from tests.integration.conftest import REGION
from tests.support import deployed, served_heads
from tests.support.aws import fakes
from tests.support.deployed import Gateway, facet
from tests.support.inputs import artifacts, heads
from tests.support.versions import NOW, accept, backbone, make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("cold_start")


@pytest.fixture
def gateway(table: "Table") -> Iterator[Gateway]:
    with deployed.gateway() as running:
        deployed.deploy(running.url, table.name)
        yield running


@pytest.fixture
def live(gateway: Gateway, table: "Table") -> str:  # noqa: ARG001
    """The id of cifar's live version."""
    return make_live(table, pending(1)).id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, one of them a floor deeper, and a text."""
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "deep/b.PNG"):
        (tmp_path / name).write_bytes(artifacts.encoded())
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_is_one_request_and_a_table(live: str, gateway: Gateway, folder: Path) -> None:
    done = facet("predict", "cifar", str(folder), "--top-k", "2")
    assert done.exit_code == 0, done.output
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["image", "label", "score", "then"]
    assert [row.split()[1:] for row in rows] == [["cat", "0.7000", "dog", "0.20"]] * 2
    assert [path for path, _ in gateway.asked] == ["/models/cifar/predict"]
    assert live


def test_json_lines_name_image_and_version(live: str, folder: Path) -> None:
    done = facet("predict", "cifar", f"{folder}/*.png", "-k1", "--format", "jsonl")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "image": f"{folder}/a.png",
            "version": live,
            "predictions": [{"label": "cat", "score": 0.7}],
        }
    ]


def test_an_unsure_answer_says_so(gateway: Gateway, folder: Path) -> None:
    answered = {
        "model": "signs",
        "version": "0" * 12,
        "predictions": [{"label": "one", "score": 0.7}],
        "familiarity": 0.01,
        "unsure": True,
    }
    gateway.others["/models/signs/predict"] = lambda _method, _body: (200, answered)
    done = facet("predict", "signs", f"{folder}/a.png")
    assert done.stdout.splitlines()[1].split()[1:] == ["one", "0.7000", "unsure"]
    done = facet("predict", "signs", f"{folder}/a.png", "--format", "jsonl")
    line = json.loads(done.stdout)
    assert (line["familiarity"], line["unsure"]) == (0.01, True)


def unwrapped(text: str) -> str:
    """The text of a box, without the spaces."""
    return "".join(text.replace("│", "").split())


@pytest.mark.usefixtures("gateway")
def test_an_answer_is_explained_over_the_image(
    table: "Table", s3: "S3Client", sagemaker: fakes.SageMaker, folder: Path
) -> None:
    served_heads.serve(table, s3, sagemaker)
    file = folder / "why.png"
    done = facet("predict", "cats", f"{folder}/a.png", "--explain", str(file), "--json")
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["results"]
    label = result["predictions"][0]["label"]
    assert result["explanation"]["label"] == label
    assert f"{file}: what speaks for {label!r} is red" in done.stderr
    heatmap = Image.open(io.BytesIO(base64.b64decode(result["explanation"]["heatmap"])))
    assert heatmap.size == (64, 48)
    pixels = np.asarray(Image.open(file), int)
    assert pixels.shape == (384, 512, 3)
    left, right = (np.ptp(pixels[9, x]) for x in (9, 500))
    assert (min(left, right), max(left, right) > 100) == (0, True), "one half is coloured"

    again = facet("predict", "cats", f"{folder}/a.png", "--explain", str(file))
    assert (again.exit_code, "existsalready;nameanewfile" in unwrapped(again.stderr)) == (2, True)
    asked = len(sagemaker.asked)
    for arguments, problem in (
        ([str(folder)], "is for one image, and here are 3"),
        ([f"{folder}/a.png", "--explain", f"{folder}/b.jpg"], "the name must end in .png"),
        ([f"{folder}/a.png", "--explain", f"{folder}/no/b.png"], "there is no folder"),
    ):
        refused = facet("predict", "cats", "--explain", f"{folder}/new.png", *arguments)
        assert refused.exit_code == 2
        assert unwrapped(problem) in unwrapped(refused.stderr)
    assert len(sagemaker.asked) == asked


@pytest.mark.usefixtures("live")
def test_a_classifier_cannot_explain(folder: Path) -> None:
    refused = facet("predict", "cifar", f"{folder}/a.png", "--explain", f"{folder}/why.png")
    assert refused.exit_code == 1
    assert "error: Model 'cifar' cannot explain its answers: it is a classifier" in refused.stderr
    assert not (folder / "why.png").exists()


def test_csv_has_a_row_for_each_label(live: str, folder: Path) -> None:
    done = facet("predict", "cifar", f"{folder}/a.png", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["rank"], row["label"], row["version"]) for row in rows] == [
        ("1", "cat", live),
        ("2", "dog", live),
        ("3", "ship", live),
    ]


def test_an_image_comes_from_standard_input(live: str) -> None:
    done = facet("predict", "cifar", "-", "--json", stdin=artifacts.encoded())
    document = json.loads(done.stdout)
    assert document["failed"] == 0
    assert [(each["image"], each["version"]) for each in document["results"]] == [("-", live)]


@pytest.mark.usefixtures("live")
def test_a_phone_s_image_is_sent_as_a_jpeg(tmp_path: Path) -> None:
    for name, quality in (("a.avif", 90), ("b", 40)):
        artifacts.image().save(tmp_path / name, "AVIF", quality=quality)
    (tmp_path / "cut.heic").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0")
    files = [str(tmp_path / name) for name in ("a.avif", "b", "cut.heic")]
    done = facet("predict", "cifar", *files, "--format", "jsonl")
    assert done.exit_code == 1
    found = {Path(each["image"]).name: each for each in map(json.loads, done.stdout.splitlines())}
    assert [found[name]["predictions"][0]["label"] for name in ("a.avif", "b")] == ["cat", "cat"]
    assert "The image is damaged" in found["cut.heic"]["error"]


@pytest.mark.usefixtures("live")
def test_what_is_no_image_does_not_stop_the_others(gateway: Gateway, folder: Path) -> None:
    done = facet("predict", "cifar", f"{folder}/notes.txt", str(folder), "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [each.get("error", "")[:10] != "" for each in document["results"]] == [
        True,
        False,
        False,
    ]
    assert document["failed"] == 1
    assert f"error: {folder}/notes.txt: " in done.stderr
    assert "1 of 3 images failed" in done.stderr
    assert len(gateway.asked) == 1


@pytest.mark.usefixtures("live")
def test_an_image_too_large_for_an_upload_is_not_sent(gateway: Gateway, folder: Path) -> None:
    (folder / "c.png").write_bytes(bytes(4_500_001))
    done = facet("predict", "cifar", str(folder), "--format", "csv")
    assert done.exit_code == 1
    assert "c.png: it has 4,500,001 bytes; the limit of an upload is 1,000,000" in done.stderr
    assert "Send a smaller copy" in done.stderr
    assert done.stdout.count("cat") == 2
    assert [path for path, _ in gateway.asked].count("/uploads") == 1


def test_another_version_is_asked_for(live: str, table: "Table", folder: Path) -> None:
    new = make_live(table, pending(2)).id
    sent = str(folder / "a.png")
    assert live in facet("predict", "cifar", sent, "--version", live, "--json").stdout
    assert new in facet("predict", "cifar", sent, "--json").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing", "a.png"], "There is no model 'nothing'. `facet models` lists the models"),
        (["cifra", "a.png"], "Did you mean 'cifar'?"),
        (["cifar", "a.png", "--version", "0" * 12], "has no version '000000000000'"),
        (["cifar", "a.png", "--version", "newest"], "version must be 12 hex digits"),
        (["cifar", "b.png"], "b.png: no such file or folder"),
        (["cifar", "*.gif"], "*.gif: no such file or folder"),
        (["cifar", "empty"], "empty: there is no image in this folder"),
    ],
)
@pytest.mark.usefixtures("live")
def test_an_error_that_affects_every_image_is_one_line(
    arguments: list[str], expected: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    failed = facet("predict", *arguments, "--json")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert expected in failed.stderr
    lines = [line for line in failed.stderr.splitlines() if not line.startswith("warning: ")]
    assert [line[:7] for line in lines] == ["error: "]


@pytest.mark.usefixtures("live")
def test_a_model_that_fails_is_told_for_each_image(
    sagemaker: fakes.SageMaker, folder: Path
) -> None:
    sagemaker.answer = fakes.Answer(400, "ModelError", b'{"Message": "secret"}')
    done = facet("predict", "cifar", str(folder), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] == 2
    assert "The model failed on this request" in done.stderr


@pytest.mark.usefixtures("live")
def test_json_has_no_other_format(folder: Path) -> None:
    refused = facet("predict", "cifar", str(folder), "--json", "--format", "csv")
    assert refused.exit_code == 2
    assert "cannot be used with --json" in refused.stderr


@pytest.mark.usefixtures("live")
def test_models_are_listed(table: "Table") -> None:
    Registry(table).reject(rejected(1, "refused"))
    done = facet("models")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:5] == ["model", "kind", "live", "policy", "run"]
    assert lines[1].split()[:5] == ["cifar", "classifier", f"{1:012x}", "auto", "default"]
    assert lines[2].split()[:3] == ["refused", "classifier", "none"]
    listed = json.loads(facet("models", "--json").stdout)["models"]
    assert [each["name"] for each in listed] == ["cifar", "refused"]


@pytest.mark.usefixtures("gateway")
def test_no_models_yet() -> None:
    done = facet("models")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "facet push" in done.stderr


@pytest.mark.usefixtures("gateway")
def test_a_head_is_shown_with_its_backbone(table: "Table") -> None:
    on = make_live(table, backbone(1)).id
    manifest = HeadManifest.model_validate(heads.manifest(on))
    make_live(table, replace(pending(2, "cats"), manifest=manifest))
    done = facet("show", "cats")
    assert done.exit_code == 0, done.output
    assert f"taught on mobilenet {on}" in " ".join(done.stdout.split())


def test_show_tells_versions_canary_and_violations(live: str, table: "Table") -> None:
    Releases(table).set_policy("cifar", Policy(Mode.CANARY, 20, 50), NOW)
    accept(table, pending(2, metrics={"accuracy": 0.8125}))
    Registry(table).reject(rejected(3))
    accept(table, replace(pending(0), max_batch_size=1))
    done = facet("show", "cifar")
    assert done.exit_code == 0, done.output
    expected = " ".join(done.stdout.split())
    assert f"live {live} policy canary, 20 % until 50 good answers" in expected
    assert f"{2:012x} gets 20 % of the requests: 0 of 50 good answers, 0 bad" in expected
    assert "labels 3: cat, dog, ship" in expected
    assert (
        f"{2:012x} READY canary endpoint smoke 102 bytes 2026-01-01 00:00 accuracy 0.8125"
        in expected
    )
    assert f"{live} READY live endpoint smoke 101 bytes" in expected
    assert f"{0:012x} READY endpoint smoke, single images 100 bytes" in expected
    assert (
        f"why {3:012x} was rejected facet.json: there is none [no-manifest] → add one" in expected
    )
    assert json.loads(facet("show", "cifar", "--json").stdout)["live"] == live


@pytest.mark.usefixtures("gateway")
def test_labels_are_shown_as_they_are_and_command_no_terminal(table: "Table", folder: Path) -> None:
    make_live(table, pending(1, labels=[":cat:", "[red]dog", "ship\x1b[31m"]))
    assert "labels   3: :cat:, [red]dog, ship�[31m" in facet("show", "cifar").stdout
    assert json.loads(facet("show", "cifar", "--json").stdout)["labels"][0] == ":cat:"
    shown = facet("predict", "cifar", str(folder / "a.png")).stdout
    assert ":cat:  0.7000  [red]dog 0.20, ship�[31m 0.10" in shown


@pytest.mark.usefixtures("gateway")
def test_show_of_no_model() -> None:
    failed = facet("show", "nothing")
    assert failed.exit_code == 1
    assert "\nerror: There is no model 'nothing'" in failed.stderr


@pytest.mark.usefixtures("live")
def test_the_stack_on_this_machine(gateway: Gateway, tmp_path: Path) -> None:
    address = {"pid": os.getpid(), "region": REGION, "url": gateway.url, "api_key": gateway.key}
    others = ("bucket", "table", "endpoint", "endpoint_url", "dead_letter_queue_url")
    address |= dict.fromkeys((*others, "onboard_function"), "unused")
    (tmp_path / "stack.json").write_text(json.dumps(address))
    done = CliRunner().invoke(app, ["models", "--json", "--home", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert [each["name"] for each in json.loads(done.stdout)["models"]] == ["cifar"]


def test_a_key_that_is_not_the_api_s(gateway: Gateway) -> None:
    gateway.key = "another"
    failed = facet("models")
    assert failed.exit_code == 1
    assert "the API rejects this key (Forbidden)" in failed.stderr


def test_an_api_that_is_not_there(table: "Table") -> None:
    deployed.deploy("http://127.0.0.1:9/v1", table.name)
    failed = facet("models")
    assert failed.exit_code == 1
    assert "http://127.0.0.1:9/v1 cannot be reached" in failed.stderr
    assert "`facet status`" in failed.stderr
