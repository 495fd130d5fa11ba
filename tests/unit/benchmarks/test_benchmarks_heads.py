"""Heads under traffic: each has its own answers, records as onboarding's, and the right report."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto import mock_aws

from benchmarks.heads import many_heads, memory, records, tables, whole_models
from benchmarks.heads.onboarding import Work
from benchmarks.heads.records import Example
from benchmarks.heads.teaching import IMAGES, Taught, drawn
from benchmarks.heads.tenants import LABELS, Named, Tenants, write
from benchmarks.heads.traffic import AGAIN, COLD, NOTE, WARM, Answers, Expected, save_expected
from facet.heads import weights
from facet.keys import head_key
from facet.manifest import BackboneManifest, BackboneRef
from facet.registry.store import Registry
from local.moto import REGION
from tests.support.inputs import artifacts
from tests.support.versions import make_live, pending

WIDTH = 16
BACKBONE = BackboneRef(model="backbone", version="0" * 12, width=WIDTH)
TENANTS = Tenants(
    BACKBONE,
    BackboneManifest.model_validate(artifacts.backbone()),
    artifacts.encoded(),
    np.random.default_rng(9).random((3, WIDTH), np.float32),
)


def test_each_head_has_answers_of_its_own_which_the_served_code_gives(tmp_path: Path) -> None:
    named, scores, familiarity = write(TENANTS, range(5), tmp_path)
    assert len({each.tobytes() for each in scores[:, 1:]}) == 5
    for at, each in enumerate(named):
        content = (tmp_path / head_key(each.model, each.version)).read_bytes()
        head = weights.read(content, labels=len(LABELS), width=WIDTH)
        found = head.answer(TENANTS.features)
        np.testing.assert_allclose([row.scores for row in found], scores[at], atol=1e-5)
        np.testing.assert_allclose([row.familiarity for row in found], familiarity[at], atol=1e-4)


def test_all_heads_give_the_golden_image_the_recorded_answer(tmp_path: Path) -> None:
    _, scores, _ = write(TENANTS, range(3), tmp_path)
    golden = TENANTS.described.golden
    assert [LABELS[int(row[0].argmax())] for row in scores] == [golden.label] * 3
    np.testing.assert_allclose(scores[:, 0, 0], golden.score, atol=1e-3)


def test_a_head_is_measured_as_a_teaching_stores_it_and_as_it_did() -> None:
    image = np.random.default_rng(1).random((1, memory.WIDTH), np.float32)
    heads = [
        weights.read(each.to_bytes(), labels=memory.LABELS, width=memory.WIDTH)
        for each in memory.kinds().values()
    ]
    assert [each.kernel.dtype for each in heads] == [np.int8, np.float16]
    (one,), (other,) = (each.answer(image) for each in heads)
    np.testing.assert_allclose(one.scores, other.scores, atol=0.001)
    assert one.familiarity == pytest.approx(other.familiarity, abs=0.001)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.resource("dynamodb", region_name=REGION).create_table(
            TableName="registry",
            KeySchema=[
                {"AttributeName": "model", "KeyType": "HASH"},
                {"AttributeName": "item", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("model", "item")
            ],
            BillingMode="PAY_PER_REQUEST",
        )


def named(number: int, model: str) -> Named:
    sha256 = f"{number:064x}"
    return Named(sha256, f"{number + 100:064x}", f"{number:012x}", model)


def test_records_are_written_as_those_of_a_model_that_was_onboarded(table: Any) -> None:
    def onboard(number: int, model: str) -> None:
        make_live(table, replace(pending(number, model), head_sha256=f"{number + 100:064x}"))

    onboard(7, "example")
    example = Example(json.dumps(records.items("registry", "example")), named(7, "example"))
    onboard(8, "real")
    real = records.items("registry", "real")
    assert records.differences(example, named(8, "real"), real) == []
    assert records.differences(example, named(9, "real"), real)
    assert all(records.names(item, "real") for item in real)
    assert not any(records.names(item, "example") for item in real)
    in_other_partition = {"model": {"S": "backbone"}, "item": {"S": "head#1#real#2"}}
    assert records.names(in_other_partition, "real")
    unlike = [{**item, "proof": {"S": "golden"}} for item in real]
    assert {each.split()[0] for each in records.differences(example, named(8, "real"), unlike)} == {
        "proof"
    }

    records.write_like("registry", example, [named(at, f"tenant-{at}") for at in (20, 21)])
    for at in (20, 21):
        live = Registry(table).live(f"tenant-{at}")
        assert (live.id, live.sha256) == (f"{at:012x}", f"{at:064x}")
        assert live.manifest == Registry(table).live("example").manifest
    assert astuple(example.named)[0] not in json.dumps(records.items("registry", "tenant-20"))


def test_an_answer_is_compared_with_what_the_head_must_say(tmp_path: Path) -> None:
    scores = np.array([[[0.7, 0.3]], [[0.2, 0.8]]], np.float32)
    save_expected(tmp_path / "a", ["a" * 12, "b" * 12], scores, np.array([[0.5], [0.9]]))
    expected = Expected(tmp_path / "a")

    def answer(status: int = 200, **changes: Any) -> dict[str, Any]:
        predictions = [{"label": "label 1", "score": 0.8}, {"label": "label 0", "score": 0.2}]
        body = {"version": "b" * 12, "predictions": predictions, "familiarity": 0.9} | changes
        return {"statusCode": status, "body": json.dumps(body)}

    assert expected.fault(answer(), 1, 0) is None
    assert "the scores" in str(expected.fault(answer(version="a" * 12), 0, 0))
    assert "the version" in str(expected.fault(answer(version="a" * 12), 1, 0))
    assert "familiarity" in str(expected.fault(answer(familiarity=0.5), 1, 0))
    assert "the scores" in str(expected.fault(answer(predictions=[]), 1, 0))
    assert "nothing" in str(expected.fault(answer(404, detail="nothing"), 1, 0))
    save_expected(tmp_path / "b", ["b" * 12], scores[1:], None)
    assert Expected(tmp_path / "b").fault(answer(familiarity=None), 0, 0) is None


def answers(*notes: tuple[Any, ...], calls: dict[str, int]) -> Answers:
    memory = [(at, size * 10**6) for at, size in enumerate((100, 200, 210, 220))]
    return Answers(np.array(list(notes), NOTE), memory, calls, 0.004, [])


HEADS = many_heads.Run(
    1000,
    [
        answers(
            (1, COLD, 10.0, 0.030, 20.0, 5.0),
            (1, WARM, 11.0, 0.006, 0.0, 4.0),
            (2, AGAIN, 12.0, 0.010, 3.0, 4.0),
            (1, WARM, 14.0, 0.008, 0.0, 6.0),
            calls={"dynamodb.GetItem": 6, "s3.GetObject": 1, "dynamodb.UpdateItem": 1},
        )
    ],
    container=0.002,
    resident=58_000_000,
    stored=21_700,
    kept=25_000,
)
WHOLE = whole_models.Run(
    50,
    [
        answers(
            (3, AGAIN, 10.0, 0.100, 5.0, 90.0),
            (3, WARM, 12.0, 0.005, 0.0, 3.0),
            calls={"dynamodb.GetItem": 2},
        )
    ],
    container=0.006,
    resident=(50_000_000, 60_000_000),
    loaded=10,
    loads=[(3, 10.05)],
    stored=180_000,
)


def test_the_report_of_heads_beside_whole_models() -> None:
    lines = tables.report(HEADS, WHOLE)
    for line in (
        "| a head, warm | 50.0% | 6.00 | 8.00 | 0.00 | 5.00 |",
        "| a head, records read again | 25.0% | 10.00 | 10.00 | 3.00 | 4.00 |",
        "| a head, cold: records and weights | 25.0% | 30.00 | 30.00 | 20.00 | 5.00 |",
        "| a whole model, warm | 50.0% | 5.00 | 5.00 | 0.00 | 3.00 |",
        "| a whole model, records read again | 0 % | | | | |",
        "| a whole model, loaded | 50.0% | 100.00 | 100.00 | 5.00 | 90.00 |",
        "| requests a second | 1 | 1 |",
        "| asked at least once | 2 | 1 |",
        "| registry reads for a request | 1.50 | 1.00 |",
        "| registry writes | 1 | 0 |",
        "| ms of the function's processor time for a request | 1.00 | 2.00 |",
        "| private memory of an environment, second half | 210 to 220 MB | 210 to 220 MB |",
        "| memory of one that is kept | 25.0 kB | 1,000 kB |",
        "In memory a head takes **40** times less than a whole model of these; target ≥ 200.",
    ):
        assert line in lines
    wrong = replace(HEADS, environments=[replace(HEADS.environments[0], errors=["head-1: no"])])
    assert tables.report(wrong, WHOLE)[-1] == "The first error: head-1: no"


def test_the_report_of_teachings_beside_a_training_job() -> None:
    calls = Counter({"dynamodb.GetItem": 5, "dynamodb.UpdateItem": 13, "s3.GetObject": 201})
    then = Work(0.5, 0.25, Counter({"s3.PutObject": 2}))
    lines = tables.teachings([Taught(Work(1.5, 1.0, calls), then, 0.25, 1.0)], (30.0, 45.0))
    for line in (
        "| **seconds until it answers** | 2.00 | 2.00 | 2.00 |",
        "| **processor seconds in all** | 1.50 | 1.50 | 1.50 |",
        "| writes to it | 13.00 | 13.00 | 13.00 |",
        "| other calls of S3 | 2.00 | 2.00 | 2.00 |",
    ):
        assert line in lines
    assert "**30** times as much" in lines[-1]


def test_tenants_share_no_image() -> None:
    one, other = drawn(1), drawn(2)
    assert len({content for _, content in [*one, *other]}) == len(one) + len(other)
    assert one == drawn(1)
    assert Counter(path.split("/")[0] for path, _ in one) == dict.fromkeys(
        (f"label-{at}" for at in range(10)), IMAGES
    )
