"""Maps of a backbone: their averages are its features, their parts add up to a head's logits."""

import numpy as np
import pytest

from facet.heads import maps
from facet.manifest import BackboneManifest
from facet.places.predict_call import payload, scores
from facet.specs import FeatureSpec, MapSpec
from tests.support.inputs import artifacts

CHANNELS, LABELS = 3, 4
GRIDS = [(7, 7, 1, 1), (4, 6, 2, 2), (3, 4, 1, 2)]
"""Height and width of the maps, rows and columns of the grid."""


def spec(height: int, width: int, rows: int, columns: int) -> FeatureSpec:
    grid = MapSpec(
        signature="maps", tensor="maps", height=height, width=width, rows=rows, columns=columns
    )
    return FeatureSpec(tensor="features", width=rows * columns * CHANNELS, maps=grid)


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def pooled(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Averages of (height, width, channels) over each cell, one after the other."""
    return np.concatenate(
        [
            cell.mean(axis=(0, 1))
            for row in np.split(image, rows, axis=0)
            for cell in np.split(row, columns, axis=1)
        ]
    )


@pytest.mark.parametrize("grid", GRIDS)
def test_averages_over_the_cells_are_the_features(grid: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = grid
    images = values(2, height, width, CHANNELS)
    found = maps.averages(spec(*grid), images.reshape(2, -1))
    expected = np.stack([pooled(image, rows, columns) for image in images])
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("grid", GRIDS)
def test_the_parts_and_the_bias_add_up_to_the_logit(
    grid: tuple[int, int, int, int], dtype: type[np.floating]
) -> None:
    height, width, rows, columns = grid
    image = values(height, width, CHANNELS)
    kernel, bias = values(rows * columns * CHANNELS, LABELS).astype(dtype), values(LABELS)
    logits = pooled(image, rows, columns) @ kernel.astype(np.float32) + bias
    for label in range(LABELS):
        found = maps.activation(spec(*grid), image.ravel(), kernel, label)
        assert found.dtype == np.float32
        assert found.shape == (height, width)
        assert found.sum(dtype=np.float64) + bias[label] == pytest.approx(logits[label], abs=1e-5)


def test_a_position_has_the_weights_of_its_own_cell() -> None:
    image = np.zeros((4, 4, CHANNELS), np.float32)
    image[1, 3, 2] = 8
    kernel = np.zeros((4 * CHANNELS, LABELS), np.float32)
    kernel[1 * CHANNELS + 2, 3] = 5  # the cell at the top, on the right
    found = maps.activation(spec(4, 4, 2, 2), image.ravel(), kernel, 3)
    expected = np.zeros((4, 4))
    expected[1, 3] = 5 * 8 / 4
    np.testing.assert_array_equal(found, expected)


def test_a_place_is_asked_for_maps_by_their_signature() -> None:
    grid = spec(64, 64, 2, 2)  # with more values than features are allowed
    golden = {"image": "golden.png", "features": [1.0] * grid.width}
    document = artifacts.backbone(output=grid.model_dump(), golden=golden)
    manifest = BackboneManifest.model_validate(document)
    asked = maps.manifest_of(manifest)
    assert asked.width == 64 * 64 * CHANNELS
    assert b'"signature_name":"maps"' in payload(asked.input, [])
    answer = b'{"predictions": [[%s]]}' % b", ".join([b"0.5"] * asked.width)
    (row,) = scores(asked, answer, 1)
    assert isinstance(row, np.ndarray)
    np.testing.assert_allclose(maps.averages(grid, row[None]), 0.5)
    assert manifest.input.signature == "serving_default"


def test_a_backbone_without_maps_has_no_parts() -> None:
    manifest = BackboneManifest.model_validate(artifacts.backbone())
    row = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="no maps"):
        maps.manifest_of(manifest)
    with pytest.raises(ValueError, match="no maps"):
        maps.averages(manifest.output, row[None])
    with pytest.raises(ValueError, match="no maps"):
        maps.activation(manifest.output, row, row[:, None], 0)
