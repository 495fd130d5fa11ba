import gzip
import hashlib
import io
import json
import mmap
from dataclasses import replace
from typing import Any

import pytest

from facet.artifact import archive, validation
from facet.artifact.archive import Archive
from facet.artifact.graphs import saved_model_pb2 as pb
from facet.errors import Violation
from facet.manifest import Manifest
from facet.registry.items import item_of
from tests.support.inputs import artifacts
from tests.support.inputs.artifacts import FLOAT, STRING
from tests.support.versions import pending

CLEAN = artifacts.members(golden=artifacts.golden())
LITERT = "1/assets.extra/model.tflite"


def run(files: dict[str, bytes]) -> list[Violation]:
    found = archive.read(io.BytesIO(artifacts.packed(files)))
    return validation.run(found)[1]


def codes(files: dict[str, bytes]) -> list[str]:
    return [each.code for each in run(files)]


def with_input(**changes: Any) -> dict[str, bytes]:
    return artifacts.members(input=artifacts.manifest()["input"] | changes)


def with_graph(**changes: Any) -> dict[str, bytes]:
    return artifacts.members() | {"1/saved_model.pb": artifacts.saved_model(**changes)}


def without(*names: str) -> dict[str, bytes]:
    return {name: content for name, content in CLEAN.items() if name not in names}


@pytest.mark.parametrize("model", [None, "cifar", "the-trainers-name-for-it"])
def test_a_good_artifact_has_no_violation(model: str | None) -> None:
    files = artifacts.members(model=model, golden=artifacts.golden())
    found = archive.read(io.BytesIO(artifacts.packed(files)))
    manifest, violations = validation.run(found)
    assert violations == []
    assert isinstance(manifest, Manifest)
    assert manifest.labels == artifacts.LABELS


def test_an_archive_larger_than_s3_copies_is_reported_before_it_is_uploaded() -> None:
    found = archive.read(io.BytesIO(artifacts.packed(CLEAN)))
    assert validation.run(replace(found, size=archive.MAX_PACKED))[1] == []
    (violation,) = validation.run(replace(found, size=archive.MAX_PACKED + 1))[1]
    assert violation.code == "upload-too-large"


@pytest.mark.parametrize(
    ("files", "code", "place"),
    [
        (without("1/saved_model.pb"), "no-version-folder", "model.tar.gz"),
        (CLEAN | {"2/saved_model.pb": b""}, "several-version-folders", "1/, 2/"),
        (CLEAN | {"2/variables/variables.index": b""}, "several-version-folders", "1/, 2/"),
        (without("facet.json"), "no-manifest", "facet.json"),
        (CLEAN | {"facet.json": b"{"}, "manifest-field", "facet.json"),
        (artifacts.members(colour="red"), "manifest-field", "facet.json.colour"),
        (with_input(height=0), "manifest-field", "facet.json.input.height"),
        (artifacts.members(labels=["cat", "", "x"]), "manifest-field", "facet.json.labels.1"),
        (
            artifacts.members(metrics={f"{at:0100}": 0.5 for at in range(200)}),
            "manifest-too-large",
            "facet.json.metrics",
        ),
        (
            artifacts.members(labels=[f"{at:0190}" for at in range(1600)]),
            "manifest-too-large",
            "facet.json",
        ),
        (without("golden.png"), "golden-missing", "golden.png"),
        (CLEAN | {"golden.png": b"a text file"}, "golden-unreadable", "golden.png"),
        (
            CLEAN | {"golden.png": artifacts.encoded()[:-90]},
            "golden-unreadable",
            "golden.png",
        ),
        (CLEAN | {"1/saved_model.pb": b"?"}, "saved-model-unreadable", "1/saved_model.pb"),
        (with_graph(tags=["train"]), "saved-model-unreadable", "1/saved_model.pb"),
        (with_graph(signature="classify"), "signature-missing", "facet.json.input.signature"),
        (with_input(tensor="x"), "tensor-missing", "facet.json.input.tensor"),
        (
            with_graph(inputs={"image": (STRING, [-1]), "mask": (STRING, [-1])}),
            "several-inputs",
            "facet.json.input.tensor",
        ),
        (with_input(encoding="float"), "input-dtype", "facet.json.input.tensor"),
        (with_graph(inputs={"image": (FLOAT, [-1])}), "input-dtype", "facet.json.input.tensor"),
        (with_graph(inputs={"image": (STRING, [])}), "input-shape", "facet.json.input.tensor"),
        (with_graph(inputs={"image": (STRING, [-1, 1])}), "input-shape", "facet.json.input.tensor"),
        (
            artifacts.members(output={"tensor": "logits"}),
            "tensor-missing",
            "facet.json.output.tensor",
        ),
        (artifacts.members(labels=["cat"]), "output-width", "facet.json.output.tensor"),
        (
            with_graph(outputs={"scores": (FLOAT, [-1])}),
            "output-width",
            "facet.json.output.tensor",
        ),
    ],
)
def test_each_violation_is_named_with_its_place(
    files: dict[str, bytes], code: str, place: str
) -> None:
    found = run(files)
    assert [(each.code, each.place) for each in found] == [(code, place)]
    assert found[0].problem
    assert found[0].remedy


def backbone(**changes: Any) -> list[tuple[str, str]]:
    """The violations of a backbone."""
    return [(each.code, each.place) for each in run(artifacts.backbone_members(**changes))]


def test_a_backbone_is_compared_with_its_graph() -> None:
    golden = {"image": "other.png", "features": [1, 2, 3]}
    assert backbone() == []
    assert backbone(output={"tensor": "features", "width": 3}, golden=golden) == [
        ("golden-missing", "other.png"),
        ("output-width", "facet.json.output.width"),
    ]
    assert backbone(output={"tensor": "scores", "width": 4}) == [
        ("tensor-missing", "facet.json.output.tensor")
    ]


def test_an_invalid_backbone_has_all_violations_at_once() -> None:
    files = artifacts.backbone_members(output={"tensor": "features", "width": 3}, labels=["cat"])
    del files["golden.png"]
    assert [(each.code, each.place) for each in run(files)] == [
        ("manifest-field", "facet.json.labels"),
        ("manifest-field", "facet.json.golden"),
        ("golden-missing", "golden.png"),
        ("output-width", "facet.json.output.width"),
    ]


def test_a_backbones_maps_are_compared_with_the_graph() -> None:
    good = artifacts.backbone_members_with_maps()
    assert run(good) == []

    def found(files: dict[str, bytes]) -> list[tuple[str, str]]:
        return [(each.code, each.place) for each in run(files)]

    maps = "facet.json.output.maps"
    assert found(good | {"1/saved_model.pb": artifacts.backbone_members()["1/saved_model.pb"]}) == [
        ("signature-missing", f"{maps}.signature")
    ]
    assert found(artifacts.backbone_members_with_maps(tensor="map")) == [
        ("tensor-missing", f"{maps}.tensor")
    ]
    for other_size in ({"height": 4}, {"rows": 2}):
        files = artifacts.backbone_members_with_maps(**other_size)
        assert found(files) == [("output-width", maps)]
    graph = good["1/saved_model.pb"]
    outputs = {"maps": (FLOAT, [-1, len(artifacts.MAPS)])}
    other = artifacts.with_signature(graph, "maps", {"mask": (STRING, [-1])}, {})
    assert found(good | {"1/saved_model.pb": other}) == [("several-inputs", f"{maps}.signature")]
    other = artifacts.with_signature(
        artifacts.backbone_members()["1/saved_model.pb"], "maps", {"image": (FLOAT, [-1])}, outputs
    )
    assert found(good | {"1/saved_model.pb": other}) == [("input-dtype", f"{maps}.signature")]


@pytest.mark.parametrize("wrapper", ["model", "a/b"])
def test_a_wrapper_folder_is_reported_with_the_command_to_pack(wrapper: str) -> None:
    found = run({f"{wrapper}/{name}": content for name, content in CLEAN.items()})
    assert [each.code for each in found] == ["wrapper-folder"]
    assert f"-C {wrapper} ." in found[0].remedy


FLOAT_INPUT = {"tensor": "image", "height": 8, "width": 6, "channels": 1}


@pytest.mark.parametrize(
    ("layout", "shape", "fits"),
    [
        ("hwc", [-1, 8, 6, 1], True),
        ("hwc", [-1, -1, -1, 1], True),
        ("hwc", [4, 8, 6, 1], True),
        ("hwc", None, True),
        ("hwc", [-1, 6, 8, 1], False),
        ("hwc", [-1, 8, 6], False),
        ("hwc", [-1, 8, 6, 3], False),
        ("hwc", [-1, 48], False),
        ("flat", [-1, 48], True),
        ("flat", [-1, -1], True),
        ("flat", [-1, 49], False),
        ("flat", [-1, 8, 6, 1], False),
    ],
)
def test_shapes_of_float_inputs(layout: str, shape: list[int] | None, fits: bool) -> None:
    files = artifacts.members(input=FLOAT_INPUT | {"layout": layout})
    files["1/saved_model.pb"] = artifacts.saved_model(inputs={"image": (FLOAT, shape)})
    assert codes(files) == ([] if fits else ["input-shape"])


@pytest.mark.parametrize("shape", [[-1, 3], [-1, -1], [1, 3], None])
def test_shapes_of_outputs_that_fit(shape: list[int] | None) -> None:
    assert codes(with_graph(outputs={"scores": (FLOAT, shape)})) == []


def test_a_manifest_may_begin_with_a_byte_order_mark() -> None:
    files = artifacts.members()
    assert codes(files | {"facet.json": b"\xef\xbb\xbf" + files["facet.json"]}) == []


def test_all_violations_are_reported_at_once() -> None:
    document = artifacts.manifest(
        labels=["cat", "dog"],
        golden=artifacts.golden(),
        input={"tensor": "x", "height": 8, "width": 8},
    )
    files = {
        "facet.json": json.dumps(document).encode(),
        "1/saved_model.pb": artifacts.saved_model(),
        "code/inference.py": b"",
    }
    assert codes(files) == [
        "code",
        "golden-missing",
        "tensor-missing",
        "output-width",
    ]


def test_all_wrong_fields_are_reported_at_once() -> None:
    places = [each.place for each in run(artifacts.members(schema=2, labels=[], colour="red"))]
    assert sorted(places) == ["facet.json.colour", "facet.json.labels", "facet.json.schema"]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"input": {"tensor": "x"}}, {"tensor-missing"}),
        ({"input": {"tensor": "image", "encoding": "float"}}, {"input-dtype"}),
        ({"input": {"signature": "classify", "tensor": ""}}, {"signature-missing"}),
        ({"labels": ["cat", "cat"], "model": "X"}, {"output-width"}),
        ({"labels": ["cat", ""]}, {"output-width"}),
        ({"output": {"tensor": "x", "activation": "relu"}}, {"tensor-missing"}),
        ({"golden": {"image": "no.png", "label": "cow", "score": 2}}, {"golden-missing"}),
        ({"golden": artifacts.golden() | {"label": "cow"}}, {"golden-unreadable"}),
        ({"colour": "red", "input": "x", "output": None, "labels": 3}, set()),
        (
            {"colour": "red", "input": {"tensor": "image", "height": 4096, "width": 4096}},
            {"input-dtype", "input-too-large"},
        ),
    ],
)
def test_a_manifest_that_fails_its_schema_is_still_compared(
    changes: dict[str, Any], codes: set[str]
) -> None:
    files = artifacts.members(**changes) | {"golden.png": b"text", "code/x": b""}
    manifest, violations = validation.run(found(files))
    assert manifest is None
    assert {each.code for each in violations} == {"manifest-field", "code"} | codes


def test_fields_that_contradict_each_other_are_reported_beside_others() -> None:
    spec = {
        "tensor": "x",
        "height": 0,
        "width": 8,
        "mean": [1],
        "std": [0, 1, 1],
        "fill": [1, 2, 3],
    }
    document = {"labels": ["a", "a"], "golden": artifacts.golden(), "input": spec}
    places = {each.place for each in run(artifacts.members(**document))}
    fields = ("labels", "input.height", "input.mean", "input.std", "input.fill", "input.tensor")
    assert places == {f"facet.json.{field}" for field in fields} | {"facet.json.output.tensor"}


def test_a_manifest_is_measured_as_the_registry_stores_it() -> None:
    numbers = ",".join(f'"{at:05}":1e15' for at in range(20_000))
    text = json.dumps(artifacts.manifest(metrics={})).replace("{}", f"{{{numbers}}}").encode()
    assert len(text) < archive.MAX_MANIFEST
    manifest, violations = validation.run(found(CLEAN | {"facet.json": text}))
    assert manifest is None
    assert [(each.code, each.place) for each in violations] == [
        ("manifest-too-large", "facet.json.metrics"),
        ("manifest-too-large", "facet.json"),
    ]


def test_a_version_with_the_longest_manifest_and_report_fits_into_an_item() -> None:
    label = "\u6f22" * 60
    labels = [f"{at}{label}" for at in range(1_500)]
    manifest = Manifest.model_validate(artifacts.manifest(labels=labels))
    stored = manifest.model_dump_json(by_alias=True, exclude_none=True).encode()
    assert 0.9 * archive.MAX_MANIFEST < len(stored) < archive.MAX_MANIFEST
    long = Violation(*["\U0001f600" * 1_000] * 4)
    version = replace(pending(1), manifest=manifest, violations=validation.reported([long] * 1_000))
    assert len(json.dumps(item_of(version), ensure_ascii=False).encode()) < 400 * 1024


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a text file", "not-gzip"),
        (gzip.compress(b"a text file"), "not-tar"),
        (artifacts.packed(CLEAN)[:-20], "truncated"),
        (artifacts.packed(CLEAN)[:-8] + bytes(8), "damaged"),
    ],
    ids=["text", "gzip of text", "cut short", "wrong checksum"],
)
def test_an_unreadable_archive_has_no_other_violations(data: bytes, code: str) -> None:
    manifest, violations = validation.run(archive.read(io.BytesIO(data)))
    assert manifest is None
    assert [each.code for each in violations] == [code]


def found(files: dict[str, bytes]) -> Archive:
    return archive.read(io.BytesIO(artifacts.packed(files)))


def test_after_a_limit_what_was_seen_is_judged_and_nothing_is_missed() -> None:
    seen = {"facet.json": CLEAN["facet.json"], "x" * 2000: b""}
    manifest, violations = validation.run(found(seen))
    assert manifest
    assert [each.code for each in violations] == ["too-long-name"]


@pytest.mark.parametrize("required", [True, False])
def test_a_rule_requires_a_golden_sample(required: bool) -> None:
    rules = validation.Rules(golden_required=required)
    _, violations = validation.run(found(artifacts.members()), rules)
    assert [each.code for each in violations] == (["golden-required"] if required else [])
    assert validation.run(found(CLEAN), rules)[1] == []


def test_a_rule_allows_an_op() -> None:
    model = pb.SavedModel.FromString(artifacts.saved_model())
    model.meta_graphs[0].graph_def.node.add(name="n", op="Print")
    files = CLEAN | {"1/saved_model.pb": model.SerializeToString()}
    assert codes(files) == ["forbidden-op"]
    assert validation.run(found(files), validation.Rules(ops=frozenset({"Print"})))[1] == []


def test_a_litert_model_is_screened_and_stays_to_be_published() -> None:
    artifact = found(CLEAN | {LITERT: b"?" * 5000})
    _, violations = validation.run(artifact)
    assert [(each.code, each.place) for each in violations] == [("litert-unreadable", LITERT)]
    model = artifact.litert_model
    assert model
    assert bytes(model.content) == b"?" * 5000
    assert model.sha256 == hashlib.sha256(b"?" * 5000).hexdigest()
    model.close()
    assert isinstance(model.content, mmap.mmap)
    assert model.content.closed


def test_a_litert_model_that_would_not_fit_on_disk() -> None:
    files = {LITERT: archive.MAX_LITERT + 1}
    _, violations = validation.run(Archive(files=files))
    assert [(each.code, each.place) for each in violations] == [("litert-too-large", LITERT)]


def test_a_wrong_manifest_does_not_stop_the_other_checks() -> None:
    files = {name: each for name, each in CLEAN.items() if "variables" not in name}
    files |= {"facet.json": b"{", "1/saved_model.pb": artifacts.saved_model(restores=True)}
    assert codes(files | {LITERT: b"?"}) == [
        "variables-missing",
        "manifest-field",
        "litert-unreadable",
    ]


def test_a_report_has_bounds_that_the_registry_can_hold() -> None:
    found = validation.reported([Violation("code", "x" * 10_000, "p", "r")] * 10_000)
    assert len(found) == validation.MAX_REPORTED + 1
    assert "9,950 more" in found[-1].problem
    assert max(len(each.place.encode()) for each in found) == validation.MAX_TEXT


def test_a_report_is_text_whatever_the_names_in_the_archive_were() -> None:
    (found,) = validation.reported([Violation("unsafe-path", "../\udcff\ud800", "p", "r")])
    assert found.place.encode() == b"../??"


def test_a_short_report_is_left_as_it_is() -> None:
    violations = run(artifacts.members(model="other", labels=["cat"]))
    assert list(validation.reported(violations)) == violations
