"""Networks: the article's, ours, and backbones split into a frozen trunk and a last block."""

from pathlib import Path

import keras
import numpy as np
import pytest

from facet import preprocess
from facet.heads.maps import averages
from facet.manifest import BackboneManifest, parse
from facet.recipes import RECIPES, Hyperparameters
from facet.specs import FeatureSpec
from training.export.backbone import export_backbone, feature_spec
from training.export.export import ModelInfo
from training.networks import BACKBONES, BadWeights, Network, build, spec


def settings(backbone: str, **changes: object) -> Hyperparameters:
    small = {"backbone": backbone, "image_size": 32, "alpha": 0.35, "dense": 0}
    return Hyperparameters.model_validate(small | changes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights for each backbone, in the file format of keras.applications."""
    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for name, backbone in BACKBONES.items():
        keras.utils.set_random_seed(3)
        options = {"alpha": 0.35} if backbone.widths else {}
        base = backbone.make(include_top=False, weights=None, input_shape=(32, 32, 3), **options)
        files[name] = folder / f"{name}.weights.h5"
        base.save_weights(files[name])
    return files


def pretrained(name: str, weights: dict[str, Path], **changes: object) -> Network:
    keras.utils.set_random_seed(5)
    return build(settings(name, **changes), 4, weights[name])


def test_article_cnn_has_the_articles_number_of_weights() -> None:
    network = build(settings("article-cnn"), 10, None)
    assert network.whole.count_params() == 528_502
    kernels = [
        layer.kernel_size
        for layer in network.whole.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert kernels == [(2, 2)] * 3


@pytest.mark.parametrize(("side", "filters"), [(16, [8, 16]), (32, [8, 16, 32]), (48, [8, 16, 32])])
def test_a_cnn_pools_down_to_a_few_pixels(side: int, filters: list[int]) -> None:
    network = build(settings("cnn", width=8, image_size=side), 3, None)
    convolutions = [
        layer for layer in network.whole.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert [layer.filters for layer in convolutions] == filters
    assert network.whole.output_shape == (None, 3)


def test_the_cifar10_recipe_has_three_convolutions_and_two_dense_layers() -> None:
    layers = build(RECIPES["cifar10"].defaults, 10, None).whole.layers
    kinds = [type(layer).__name__ for layer in layers]
    assert (kinds.count("Conv2D"), kinds.count("Dense")) == (3, 2)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_trunk_and_tail_are_the_backbone_cut_in_two(name: str, weights: dict[str, Path]) -> None:
    network = pretrained(name, weights)
    backbone = BACKBONES[name]
    options = {"alpha": 0.35} if backbone.widths else {}
    base = backbone.make(include_top=False, weights=None, input_shape=(32, 32, 3), **options)
    base.load_weights(str(weights[name]))
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    pooled = np.asarray(base(images, training=False)).mean(axis=(1, 2))
    kernel, bias = network.tail.layers[-1].get_weights()
    np.testing.assert_allclose(
        network.whole(images, training=False), pooled @ kernel + bias, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_all_but_the_last_block_and_the_head_are_frozen(
    name: str, weights: dict[str, Path]
) -> None:
    network = pretrained(name, weights)
    assert network.trunk is not None
    assert network.trunk.trainable_weights == []
    trained = {weight.path for weight in network.whole.trainable_weights}
    assert trained == {weight.path for weight in network.tail.trainable_weights}
    assert any("kernel" in path for path in trained)
    assert not any("gamma" in path or "beta" in path for path in trained)


def test_vgg16_trains_its_fifth_block(weights: dict[str, Path]) -> None:
    trained = [weight.path for weight in pretrained("vgg16", weights).tail.trainable_weights]
    assert [path.split("/")[0] for path in trained[:6:2]] == [
        "block5_conv1",
        "block5_conv2",
        "block5_conv3",
    ]
    assert len(trained) == 8


@pytest.mark.parametrize("name", ["cnn", "mobilenet"])
def test_scores_are_averaged_with_those_of_the_mirrored_image(
    name: str, weights: dict[str, Path]
) -> None:
    network = pretrained(name, weights | {"cnn": Path()}, mirror_average=True)
    images = np.random.default_rng(4).standard_normal((3, 32, 32, 3)).astype(np.float32)
    one, mirrored = (network.whole(each, training=False) for each in (images, images[:, :, ::-1]))
    exported = np.asarray(network.exported(images, training=False))
    np.testing.assert_allclose(exported, (one + mirrored) / 2, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(exported, one)
    assert network.exported.count_params() == network.whole.count_params()
    alone = pretrained(name, weights | {"cnn": Path()})
    assert alone.exported is alone.whole


NORMALISE = {
    "vgg16": keras.applications.vgg16.preprocess_input,
    "mobilenet": keras.applications.mobilenet.preprocess_input,
    "mobilenet-v2": keras.applications.mobilenet_v2.preprocess_input,
}


@pytest.mark.parametrize("name", sorted(NORMALISE))
def test_pixels_are_normalised_as_keras_does_for_that_backbone(name: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = NORMALISE[name](pixels.astype(np.float32))
    np.testing.assert_allclose(
        preprocess.normalise(spec(settings(name)), pixels), expected, atol=1e-4
    )


def test_rejects_weights_of_another_network(weights: dict[str, Path]) -> None:
    with pytest.raises(BadWeights, match=r"mobilenet\.weights\.h5 .* no weights for vgg16"):
        build(settings("vgg16"), 4, weights["mobilenet"])


def test_rejects_a_file_without_weights(tmp_path: Path) -> None:
    (tmp_path / "vgg.h5").write_bytes(b"nothing")
    with pytest.raises(BadWeights, match=r"vgg\.h5"):
        build(settings("vgg16"), 4, tmp_path / "vgg.h5")


@pytest.mark.parametrize(
    ("name", "changes", "shape"),
    [
        ("cnn", {"width": 8}, (4, 4, 32)),
        ("article-cnn", {}, (4, 4, 64)),
        *((each, {}, None) for each in sorted(BACKBONES)),
    ],
)
def test_features_are_averages_of_maps(
    name: str,
    changes: dict[str, object],
    shape: tuple[int, int, int] | None,
    weights: dict[str, Path],
) -> None:
    network = pretrained(name, weights | {name: weights.get(name, Path())}, **changes)
    images = np.random.default_rng(6).standard_normal((2, 32, 32, 3)).astype(np.float32)
    features, maps = (np.asarray(each) for each in network.body(images))
    output = feature_spec(network.body)
    assert output.maps
    assert shape in (None, maps.shape[1:])
    assert features.shape == (2, output.width)
    assert maps.shape[1:] == (output.maps.height, output.maps.width, output.channels)
    np.testing.assert_allclose(
        averages(output, maps.reshape(2, -1)), features, rtol=1e-4, atol=1e-5
    )
    kernel, bias = network.tail.layers[-1].get_weights()
    if network.trunk is not None:
        logits = network.whole(images, training=False)
        np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-3, atol=1e-4)


def test_features_that_are_no_averages_have_no_maps(
    weights: dict[str, Path], tmp_path: Path
) -> None:
    network = build(settings("cnn", width=8, image_size=40), 3, None)
    assert network.body.grid is None  # maps of 5x5, of which pooling leaves positions out
    info = ModelInfo(None, "", (), {}, {})
    proof = np.random.default_rng(7).integers(0, 256, (3, 40, 40, 3), np.uint8)
    export_backbone(network.body, network.spec, info, proof=proof, folder=tmp_path)
    manifest = parse((tmp_path / "facet.json").read_bytes())
    assert isinstance(manifest, BackboneManifest)
    assert manifest.output == FeatureSpec(tensor="features", width=2 * 2 * 32)
    dense = pretrained("mobilenet", weights, dense=8).body
    assert feature_spec(dense).maps is None
    assert feature_spec(dense).width == 8
