import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.artifact.graphs import saved_model_pb2 as pb
from facet.artifact.graphs.graph import read
from facet.artifact.graphs.saved_model import Signature, TensorSpec, UnreadableSavedModel
from tests.support.inputs import artifacts
from tests.support.inputs.artifacts import FLOAT, STRING

GOOD = artifacts.saved_model()


def signatures(data: bytes) -> Mapping[str, Signature]:
    return read(data).signatures()


def test_a_signature_with_its_tensors() -> None:
    data = artifacts.saved_model(
        signature="classify",
        inputs={"image": (STRING, [-1]), "size": (3, [])},
        outputs={"scores": (FLOAT, [-1, 3]), "features": (FLOAT, None), "odd": (99, [2])},
    )
    found = signatures(data)["classify"]
    assert found.inputs == {"image": TensorSpec("string", (-1,)), "size": TensorSpec("int32", ())}
    assert found.outputs == {
        "scores": TensorSpec("float32", (-1, 3)),
        "features": TensorSpec("float32", None),
        "odd": TensorSpec("type 99", (2,)),
    }


def test_only_the_graph_for_serving_counts() -> None:
    model = pb.SavedModel.FromString(artifacts.saved_model(signature="train", tags=["train"]))
    model.MergeFromString(GOOD)
    assert signatures(model.SerializeToString()).keys() == {"serving_default"}


@pytest.mark.parametrize("tags", [(), ("train",), ("serve_not",)])
def test_a_model_without_a_graph_for_serving(tags: tuple[str, ...]) -> None:
    with pytest.raises(UnreadableSavedModel, match="no meta graph tagged 'serve'"):
        signatures(artifacts.saved_model(tags=tags))


def test_an_empty_file_has_no_graph() -> None:
    with pytest.raises(UnreadableSavedModel, match="no meta graph"):
        signatures(b"")


@pytest.mark.parametrize(
    "data", [b"a text file", b"\xff" * 40, GOOD[:-1]], ids=["text", "ff", "cut"]
)
def test_other_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableSavedModel, match="not a SavedModel"):
        signatures(data)


def test_fields_that_onboarding_does_not_know_are_ignored() -> None:
    unknown = bytes([0x7A, 100]) + bytes(100)
    meta = pb.SavedModel.FromString(GOOD).meta_graphs[0].SerializeToString() + unknown
    real = bytes([0x08, 1, 0x12, 0x80 | len(meta) & 0x7F, len(meta) >> 7]) + meta
    assert signatures(real) == signatures(GOOD)


@given(st.binary(max_size=300))
def test_random_bytes_are_signatures_or_unreadable(data: bytes) -> None:
    with contextlib.suppress(UnreadableSavedModel):
        signatures(data)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_damaged_models_are_signatures_or_unreadable(damages: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in damages:
        data[at] = value
    with contextlib.suppress(UnreadableSavedModel):
        signatures(bytes(data))
