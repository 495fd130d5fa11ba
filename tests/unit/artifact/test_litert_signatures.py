"""The signatures of LiteRT files, and those of a backbone's maps."""

import io
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.artifact import archive, validation
from facet.artifact.graphs.litert import MAX_SIGNATURES, TooManyParts, UnreadableLiteRT
from facet.artifact.graphs.litert_signatures import signatures
from facet.artifact.graphs.saved_model import Signature, TensorSpec
from tests.support.inputs import artifacts

lite_models = pytest.importorskip("tests.support.inputs.lite_models")

WEIGHTS = np.ones((3, len(artifacts.MAPS)), np.float32)
OWN = {"image": TensorSpec("float32", (-1, 3))}


def with_maps(model: Any, image: int = 0, maps: int = 2) -> None:
    """Gives it the signature of maps, of the tensors with these numbers."""
    model.signatureDefs.append(lite_models.signature("maps", {"image": image}, {"maps": maps}))


def more(model: Any) -> None:
    """Other tensors: number 3 takes another shape, 4 is of another size, 5 is text."""
    with_maps(model)
    add = model.subgraphs[0].tensors.append
    add(lite_models.tensor("other", [-1, 8, 8, 3], 0, 3))
    add(lite_models.tensor("small", [1, 5], 0))
    add(lite_models.tensor("text", [1, len(artifacts.MAPS)], 0, 5))


def found(model: bytes) -> list[tuple[str, str]]:
    """The violations of a backbone with maps and this LiteRT model."""
    files = artifacts.backbone_members_with_maps() | {artifacts.LITERT: model}
    read = archive.read(io.BytesIO(artifacts.packed(files)))
    violations = validation.run(read)[1]
    assert all(each.problem and each.remedy for each in violations)
    return [(each.code, each.place) for each in violations]


def test_signatures_are_read_by_name() -> None:
    outputs = {"scores": TensorSpec("float32", (-1, len(artifacts.MAPS)))}
    read = signatures(lite_models.dense(WEIGHTS, with_maps))
    assert read == {
        "serving_default": Signature(OWN, outputs),
        "maps": Signature(OWN, {"maps": outputs["scores"]}),
    }


def test_a_file_of_which_something_is_missing_is_not_read() -> None:
    def beyond(model: Any) -> None:
        with_maps(model, maps=7)

    def elsewhere(model: Any) -> None:
        with_maps(model)
        model.signatureDefs[1].subgraphIndex = 9

    for change in (beyond, elsewhere):
        with pytest.raises(UnreadableLiteRT, match="and no number"):
            signatures(lite_models.dense(WEIGHTS, change))
        assert found(lite_models.dense(WEIGHTS, change)) == [
            ("litert-unreadable", artifacts.LITERT)
        ]


def test_a_file_with_too_many_signatures_is_not_read() -> None:
    def many(model: Any) -> None:
        for _ in range(MAX_SIGNATURES):
            with_maps(model)

    with pytest.raises(TooManyParts):
        signatures(lite_models.dense(WEIGHTS, many))


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_damaged_file_raises_nothing_else(at: int, value: int) -> None:
    model = bytearray(lite_models.dense(WEIGHTS, with_maps))
    model[at % len(model)] = value
    with suppress(UnreadableLiteRT, TooManyParts):
        signatures(bytes(model))


def test_the_maps_of_a_litert_model_take_what_its_features_take() -> None:
    assert found(lite_models.dense(WEIGHTS, with_maps)) == []
    place = artifacts.LITERT
    assert found(lite_models.dense(WEIGHTS)) == [("signature-missing", place)]

    def changed(image: int, maps: int) -> bytes:
        def change(model: Any) -> None:
            more(model)
            model.signatureDefs.pop()
            with_maps(model, image, maps)

        return bytes(lite_models.dense(WEIGHTS, change))

    assert found(changed(0, 2)) == []
    assert found(changed(3, 2)) == [("input-shape", place)]
    assert found(changed(0, 4)) == [("output-width", place)]
    assert found(changed(0, 5)) == [("output-dtype", place)]


def test_a_backbone_without_maps_may_have_any_signatures() -> None:
    files = artifacts.backbone_members() | {artifacts.LITERT: lite_models.dense(WEIGHTS)}
    read = archive.read(io.BytesIO(artifacts.packed(files)))
    assert validation.run(read)[1] == []
