import json
from typing import Any

import pytest
from pydantic import ValidationError

from facet.manifest import BackboneManifest, Manifest, parse
from facet.specs import FeatureSpec, GoldenFeatures, GoldenSample, InputSpec, OutputSpec
from tests.support.inputs import artifacts

FULL = artifacts.manifest(
    model="cifar",
    description="Ten classes",
    golden={"image": "golden.png", "label": "dog", "score": 0.9, "tolerance": 0.1},
    metrics={"accuracy": 0.83},
    provenance={"commit": "abc"},
    input={
        "signature": "classify",
        "tensor": "image",
        "encoding": "float",
        "height": 32,
        "width": 48,
        "channels": 3,
        "layout": "flat",
        "decode": "reduced",
        "resize": "lanczos",
        "fit": "crop",
        "resize_to": 64,
        "fill": [],
        "invert": True,
        "scale": 0.5,
        "mean": [1, 2, 3],
        "std": [4, 5, 6],
        "order": "BGR",
        "per_image_standardization": True,
    },
    output={"tensor": "scores", "activation": "logits", "binary": False},
)


def parsed(document: dict[str, Any]) -> Manifest:
    return Manifest.model_validate_json(json.dumps(document))


def refused_at(document: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        parsed(document)
    return {".".join(map(str, each["loc"])) for each in caught.value.errors()}


def with_field(path: str, value: Any) -> dict[str, Any]:
    """The full document with one field set, or added; `path` is dotted."""
    document: dict[str, Any] = json.loads(json.dumps(FULL))
    *parents, name = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    place[name] = value
    return document


def test_every_field_is_read_as_written() -> None:
    manifest = parsed(FULL)
    assert manifest.model_dump(mode="json", by_alias=True) == FULL


def test_the_full_document_names_every_field() -> None:
    fields = {each.alias or name for name, each in Manifest.model_fields.items()}
    assert FULL.keys() == fields - {"kind"}  # which a classifier's manifest never states
    assert FULL["input"].keys() == InputSpec.model_fields.keys()
    assert FULL["output"].keys() == OutputSpec.model_fields.keys()
    assert FULL["golden"].keys() == GoldenSample.model_fields.keys()


def test_defaults_are_the_plain_case() -> None:
    spec = InputSpec(tensor="x", height=2, width=3)
    assert (spec.signature, spec.encoding, spec.channels) == ("serving_default", "float", 3)
    assert (spec.layout, spec.resize, spec.fit, spec.order) == ("hwc", "bilinear", "stretch", "RGB")
    assert (spec.decode, spec.resize_to, spec.fill, spec.invert) == ("whole", None, (), False)
    assert not spec.per_image_standardization
    assert (spec.scale, spec.mean, spec.std, spec.size) == (1.0, (), (), 18)
    assert OutputSpec(tensor="y").activation == "softmax"
    assert GoldenSample(image="a.png", label="cat", score=0.5).tolerance == 0.02


@pytest.mark.parametrize("document", [FULL, artifacts.manifest()], ids=["full", "least"])
def test_json_round_trip(document: dict[str, Any]) -> None:
    manifest = parsed(document)
    assert Manifest.model_validate_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("place", ["", "input.", "output.", "golden."])
def test_unknown_keys_are_errors_everywhere(place: str) -> None:
    assert refused_at(with_field(f"{place}colour", "red")) == {f"{place}colour"}


@pytest.mark.parametrize("field", ["schema", "labels", "input", "output"])
def test_required_fields(field: str) -> None:
    assert refused_at(artifacts.manifest(**{field: None})) == {field}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 2),
        ("schema", "1"),
        ("model", "Cifar"),
        ("model", "-cifar"),
        ("model", "cifar\n"),
        ("model", "c" * 64),
        ("model", ""),
        ("description", "x" * 2001),
        ("labels", []),
        ("labels", "cat"),
        ("metrics.loss", "low"),
        ("provenance.commit", 7),
        ("input.signature", ""),
        ("input.tensor", ""),
        ("input.encoding", "webp"),
        ("input.height", 0),
        ("input.height", 4097),
        ("input.width", 1.5),
        ("input.channels", 4),
        ("input.layout", "chw"),
        ("input.resize", "area"),
        ("input.fit", "cover"),
        ("input.decode", "half"),
        ("input.resize_to", 0),
        ("input.invert", "maybe"),
        ("input.order", "GBR"),
        ("output.tensor", ""),
        ("output.activation", "relu"),
        ("golden.image", "../golden.png"),
        ("golden.image", "images/golden.png"),
        ("golden.image", ".golden.png"),
        ("golden.score", 1.01),
        ("golden.score", -0.01),
        ("golden.tolerance", 0),
    ],
)
def test_bounds(path: str, value: Any) -> None:
    assert refused_at(with_field(path, value)) == {path}


@pytest.mark.parametrize("label", ["", "x" * 201, 5, None])
def test_a_wrong_label_is_named_by_its_place(label: Any) -> None:
    document = artifacts.manifest(labels=["cat", label])
    assert refused_at(document) == {"labels.1"}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (artifacts.manifest(labels=["cat", "dog", "cat"]), "labels must differ.*cat"),
        (artifacts.manifest(golden=artifacts.golden("horse")), "'horse' is not one of the labels"),
        (with_field("input.mean", [1.0]), "mean needs 3 values, it has 1"),
        (with_field("input.std", [1.0, 2.0]), "std needs 3 values, it has 2"),
        (with_field("input.std", [1.0, 0.0, 1.0]), "std must be above 0"),
        (with_field("input.channels", 1), "mean needs 1 values, it has 3"),
        (with_field("output.binary", True), "binary needs two labels, there are 3"),
        (
            artifacts.manifest(output={"tensor": "y", "binary": True}, labels=["cat", "dog"]),
            "binary needs the activation sigmoid or logits",
        ),
    ],
)
def test_fields_that_contradict_each_other(document: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        parsed(document)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["scale", "mean", "std"])
def test_only_finite_numbers(field: str, number: str) -> None:
    text = json.dumps(with_field(f"input.{field}", "?" if field == "scale" else ["?", 1, 1]))
    with pytest.raises(ValidationError):
        Manifest.model_validate_json(text.replace('"?"', number))


def test_a_manifest_cannot_be_changed() -> None:
    manifest = parsed(FULL)
    with pytest.raises(ValidationError, match="frozen"):
        manifest.input.height = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 1, "a": "\\ud800"}']
)
def test_what_is_no_manifest_is_a_validation_error(text: bytes) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate_json(text)


def test_a_classifiers_kind_may_be_stated_and_is_not_written() -> None:
    stated = parse(json.dumps(FULL | {"kind": "classifier"}))
    assert isinstance(stated, Manifest)
    assert json.loads(stated.to_json()) == json.loads(parsed(FULL).to_json())
    assert parse(json.dumps(FULL)) == stated


def test_a_backbone_is_read_and_written_as_it_is() -> None:
    document = artifacts.backbone(model="mobilenet", metrics={"a": 1.5}, provenance={"b": "c"})
    manifest = parse(json.dumps(document))
    assert isinstance(manifest, BackboneManifest)
    assert manifest.width == 4
    assert manifest.golden.features == artifacts.FEATURES
    assert parse(manifest.to_json()) == manifest
    written = json.loads(manifest.to_json())
    assert written["kind"] == "backbone"
    assert [*written] == [  # in the order of a classifier's
        *("schema", "kind", "model", "description", "input", "output", "golden", "metrics"),
        "provenance",
    ]


def of_maps(**changes: object) -> dict[str, object]:
    maps = {"tensor": "maps", "height": 8, "width": 8} | changes
    return {"output": {"tensor": "features", "width": 4, "maps": maps}}


LARGE = {"tensor": "features", "maps": {"tensor": "maps", "height": 64, "width": 64}}


def test_a_backbone_may_have_maps_of_which_its_features_are_averages() -> None:
    manifest = parse(json.dumps(artifacts.backbone(**of_maps(rows=2, columns=1))))
    assert isinstance(manifest, BackboneManifest)
    assert manifest.output.maps
    assert manifest.output.maps.signature == "maps"
    assert manifest.output.channels == 2
    assert parse(manifest.to_json()) == manifest


def test_a_backbone_has_the_fields_of_a_classifier_except_labels() -> None:
    own, other = BackboneManifest.model_fields, Manifest.model_fields
    assert own.keys() == other.keys() - {"labels"}
    assert FeatureSpec.model_fields.keys() == {"tensor", "width", "maps"}
    assert GoldenFeatures.model_fields.keys() == {"image", "features", "tolerance"}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"kind": "ear"}, "kind"),
        ({"kind": ["backbone"]}, "kind"),
        ({"kind": "classifier"}, "labels"),
        ({"labels": ["cat"]}, "labels"),
        ({"output": {"tensor": "features", "width": 5}}, "golden"),
        ({"output": {"tensor": "features", "width": 8193}}, "output.width"),
        ({"output": {"tensor": "features", "width": 4, "activation": "logits"}}, "output"),
        (of_maps(height=7, rows=2), "output.maps.rows"),
        (of_maps(columns=3), "output.maps.columns"),
        (of_maps(width=65), "output.maps.width"),
        (of_maps(height=3, rows=3), "output.maps"),
        ({"output": {**LARGE, "width": 2000}}, "output.maps"),
        ({"golden": {"image": "golden.png", "features": [0, 0, 0, 0]}}, "golden.features"),
        ({"golden": {"image": "golden.png", "features": [1, 2, 3, "x"]}}, "golden.features.3"),
        ({"golden": {"image": "a.png", "features": [1] * 4, "tolerance": 1}}, "golden.tolerance"),
        ({"golden": artifacts.golden()}, "golden.features"),
    ],
)
def test_what_a_backbone_cannot_be(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(json.dumps(artifacts.backbone(**changes)))
    found = [".".join(map(str, each["loc"][1:])) for each in caught.value.errors()]
    assert any(each.startswith(place) for each in found)


def test_an_unknown_kind_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match="there are the kinds classifier, backbone, head"):
        parse(json.dumps(artifacts.backbone(kind="ear")))
