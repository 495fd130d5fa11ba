"""facet/heads/weights.py: the file of a head, and its answers."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.heads.familiarity import POINTS, fit_reference
from facet.heads.weights import BadHead, Head, read

WIDTH, LABELS = 6, 3

FALLING = np.linspace(1, 0, POINTS, dtype=np.float32)


def taught(seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features of 20 images of each label, around one corner each."""
    random = np.random.default_rng(seed)
    classes = np.arange(20 * LABELS) % LABELS
    corners = 5 * np.eye(LABELS, WIDTH)
    features = corners[classes] + random.normal(size=(len(classes), WIDTH))
    return features.astype(np.float32), classes


def head() -> Head:
    kernel = np.eye(WIDTH, LABELS, dtype=np.float16)
    bias = np.zeros(LABELS, np.float32)
    return Head(kernel, bias, fit_reference(*taught()))


def test_a_head_is_read_as_it_was_written() -> None:
    content = head().to_bytes()
    assert content == head().to_bytes()
    found = read(content, labels=LABELS, width=WIDTH)
    assert found.to_bytes() == content
    assert found.kernel.dtype == np.float16


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32])
def test_a_head_takes_the_memory_of_its_file(dtype: type[np.generic]) -> None:
    one = head()
    centres = np.round(100 * np.asarray(one.reference.centres, np.float64))
    layer = {"kernel": one.kernel.astype(dtype), "reference_centres": centres.astype(dtype)}
    found = read(npz(**arrays(**layer)), labels=LABELS, width=WIDTH)
    assert found.kernel.dtype == found.reference.centres.dtype == dtype
    others = found.bias.nbytes + found.reference.distances.nbytes
    assert found.nbytes == 2 * WIDTH * LABELS * np.dtype(dtype).itemsize + others


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_reference_in_other_numbers_says_the_same(dtype: type[np.floating]) -> None:
    features, _ = taught(2)
    centres = head().reference.centres.astype(np.float64)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    content = npz(**arrays(reference_centres=centres.astype(dtype)))
    found = read(content, labels=LABELS, width=WIDTH).answer(features)
    for now, before in zip(found, head().answer(features), strict=True):
        assert now.familiarity == pytest.approx(before.familiarity, abs=0.005)


def test_a_scale_is_a_factor_of_its_labels_weights() -> None:
    features, _ = taught(2)
    kernel = np.random.default_rng(3).integers(-127, 127, (WIDTH, LABELS))
    scale = np.array([0.01, 0.02, 0.03], np.float32)
    content = npz(**arrays(kernel=kernel.astype(np.int8), scale=scale))
    small = read(content, labels=LABELS, width=WIDTH)
    assert small.to_bytes() == read(small.to_bytes(), labels=LABELS, width=WIDTH).to_bytes()
    large = replace(small, kernel=(kernel * scale).astype(np.float32), scale=None)
    for one, other in zip(small.answer(features), large.answer(features), strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-6)


def test_an_image_unlike_those_of_the_teaching_is_unsure() -> None:
    features, _ = taught(2)
    alike, other = head().answer(np.stack([features[0], -features[0]]))
    assert not alike.unsure
    assert other.unsure


def test_scores_are_the_softmax_of_features_and_weights() -> None:
    (answer,) = head().answer(np.array([[1, 2, 3, 9, 9, 9]], np.float32))
    powers = np.exp([1, 2, 3])
    np.testing.assert_allclose(answer.scores, powers / powers.sum(), rtol=1e-6)


def npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def arrays(**changes: object) -> dict[str, object]:
    one = head()
    reference = {f"reference_{name}": each for name, each in one.reference.arrays().items()}
    return {"kernel": one.kernel, "bias": one.bias, **reference, **changes}


def test_a_file_that_numpy_wrote_is_read() -> None:
    read(npz(**arrays()), labels=LABELS, width=WIDTH)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "did not write it"),
        (b"PK\3\4 and so on", "did not write it"),
        (head().to_bytes()[:-100], "did not write it"),
        (npz(**arrays(more=np.zeros(3))), "a member 'more.npy'"),
        (npz(kernel=np.zeros((WIDTH, LABELS), np.float32)), "no array bias"),
        (npz(**arrays(kernel=np.zeros((LABELS, WIDTH), np.float32))), "kernel must be"),
        (npz(**arrays(kernel=np.zeros((WIDTH, LABELS), np.float64))), "kernel must be"),
        (npz(**arrays(kernel=np.zeros((WIDTH, 50_000), np.float32))), "more than 1,072 bytes"),
        (npz(**arrays(scale=np.ones(2, np.float32))), "scale must be"),
        (npz(**arrays(scale=np.full(3, np.inf, np.float32))), "not finite"),
        (npz(**arrays(bias=np.array([None] * 3))), "bias must be"),
        (npz(**arrays(bias=np.array([0, np.nan, 0], np.float32))), "not finite"),
        (npz(**arrays(reference_distances=FALLING)), "distances are not in rising order"),
        (npz(**arrays(kernel=np.full((WIDTH, LABELS), np.inf, np.float16))), "not finite"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(content: bytes, problem: str) -> None:
    with pytest.raises(BadHead, match=problem):
        read(content, labels=LABELS, width=WIDTH)


def test_a_compressed_file_or_a_false_header_allocates_nothing() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays())  # type: ignore[arg-type]
    with pytest.raises(BadHead, match="compressed"):
        read(file.getvalue(), labels=LABELS, width=WIDTH)
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as members:
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 4000), }\n"
        size = len(header).to_bytes(2, "little")
        members.writestr("kernel.npy", b"\x93NUMPY\x01\x00" + size + header.encode())
    with pytest.raises(BadHead, match="kernel must be"):
        read(huge.getvalue(), labels=LABELS, width=WIDTH)
