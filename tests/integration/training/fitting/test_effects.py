"""Every hyperparameter changes what is trained, or is refused: each one is changed, alone.

A change shows in the sets of images, in the layers of the network, or in the trained weights.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from facet.effects import ineffective
from facet.recipes import PRETRAINED, RECIPES, Hyperparameters
from training.data.splitting import DataError
from training.dataset import load
from training.fitting.checkpoint import Checkpoint
from training.fitting.workers import SingleHost
from training.networks import BACKBONES, Network, build, spec
from training.trainer import dtype_policy, train

NETWORK = {
    "alpha": 0.5,
    "width": 8,
    "dense": 6,
    "dropout": 0.6,
    "image_size": 48,
    "mirror_average": True,
}
"""Another value for each hyperparameter that changes the layers."""

FITTING: dict[str, object] = {
    "epochs": 3,
    "batch_size": 3,
    "learning_rate": 0.02,
    "weight_decay": 0.5,
    "label_smoothing": 0.3,
    "patience": 1,
    "precision": "bfloat16",
    "class_weights": False,
    "dropout": 0.6,
}
"""Another value for each of those that the inputs do not depend on, and for dropout."""

SPLITS: dict[str, object] = {
    "seed": 7,
    "validation_share": 0.5,
    "test_share": 0.2,
    "max_unreadable": 0.0,
}
"""Another value for each of those that sets are read with, in the same way for all networks."""

INPUTS: dict[str, object] = {
    "method": "fine-tune",
    "cache_features": False,
    "views": 2,
    "shift": 0.2,
    "rotation": 45,
    "zoom": 0.5,
    "flip": True,
    "brightness": 60,
    "contrast": 1,
    "tint": 60,
}
"""Another value for each of the others."""

EXPORT: dict[str, object] = {
    "quantize": "int8",
    "max_accuracy_loss": 0.5,
    "lite_only": True,
    "output": "features",
}
"""Another value for each of those that change the artifact alone: test_export."""

TINY = {
    "image_size": 32,
    "alpha": 0.25,
    "width": 4,
    "dense": 4,
    "dropout": 0.1,
    "epochs": 2,
    "batch_size": 4,
    "patience": 0,
    "precision": "float32",
    "validation_share": 0.25,
    "test_share": 0.0,
    "max_unreadable": 0.1,
}
PATHS: dict[str, dict[str, object]] = {
    "pixels": {"backbone": "cnn"},
    "pixels-pretrained": {"backbone": "mobilenet", "cache_features": False},
    "features": {"backbone": "mobilenet"},
    "head": {"backbone": "mobilenet", "method": "head", "dense": 0},
    "features-of-views": {"backbone": "mobilenet", "views": 2, "shift": 0.1},
}
"""The ways in which images reach the layers that are trained. Fitting is the same for those of the
pixels, and for those of the features."""


def settings(changes: dict[str, Any]) -> Hyperparameters:
    return Hyperparameters.model_validate(TINY | changes)


def refused(name: str, changed: Hyperparameters) -> bool:
    return bool([*ineffective(changed, [name], ["train"])])


def test_each_hyperparameter_is_changed() -> None:
    changed = {*NETWORK, *FITTING, *SPLITS, *INPUTS, *EXPORT, "backbone"}
    assert changed == set(Hyperparameters.model_fields)


def test_no_loss_is_stated_for_a_model_that_is_not_quantised() -> None:
    stated = settings(EXPORT | {"output": "scores"})
    assert not [*ineffective(stated, EXPORT)]
    (problem,) = ineffective(stated.model_copy(update={"quantize": "none"}), EXPORT)
    assert problem.startswith("max-accuracy-loss 0.5: has no effect, because nothing is lost")


@pytest.mark.parametrize("backbone", ["cnn", "article-cnn", "vgg16", "mobilenet"])
def test_layers(backbone: str, tmp_path: Path) -> None:
    """mobilenet-v2 takes the same hyperparameters as mobilenet; test_choice has its `alpha`."""
    base = layout({"backbone": backbone}, tmp_path)
    for name, value in NETWORK.items():
        if backbone.startswith("mobilenet") and name in ("dense", "dropout", "image_size"):
            continue  # as for vgg16, which is built faster
        changes = {"backbone": backbone, name: value}
        same = refused(name, settings(changes)) or layout(changes, tmp_path) == base
        assert same == refused(name, settings(changes)), name


def layout(changes: dict[str, Any], folder: Path) -> str:
    """The trained layers, those around them that are exported, and the size of the input."""
    chosen = settings(changes)
    keras.backend.clear_session()
    weights = None
    if chosen.backbone in BACKBONES:
        backbone = BACKBONES[chosen.backbone]
        weights = folder / f"{chosen.alpha}.weights.h5"
        if not weights.exists():
            options = {"alpha": chosen.alpha} if backbone.widths else {}
            made = backbone.make(
                include_top=False, weights=None, input_shape=(32, 32, 3), **options
            )
            made.save_weights(weights)
            keras.backend.clear_session()
    network = build(chosen, 2, weights)
    exported = [type(layer).__name__ for layer in network.exported.layers]
    return f"{network.spec} {network.tail.to_json()} {exported}"


HUES = {"green": (60, 200, 60), "red": (200, 60, 60)}


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Noisy images of two colours, twice as many of one, and a file that is no image."""
    root = tmp_path_factory.mktemp("data") / "train"
    draw(root / "green", HUES["green"], 10, 1)
    draw(root / "red", HUES["red"], 5, 2)
    (root / "green" / "broken.png").write_bytes(b"no image")
    return {"train": root}


@pytest.fixture(scope="module")
def swapped(channels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same with a validation set that has the labels the wrong way round, so that training
    makes it worse."""
    root = tmp_path_factory.mktemp("swapped") / "validation"
    draw(root / "green", HUES["red"], 5, 3)
    draw(root / "red", HUES["green"], 5, 4)
    return channels | {"validation": root}


def draw(folder: Path, hue: tuple[int, int, int], count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        noise = random.integers(-50, 50, (32, 32, 3)) + hue
        Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number}.png")


@pytest.fixture(autouse=True)
def eagerly() -> Iterator[None]:
    """Networks this small are trained faster than functions are traced."""
    policy = keras.config.dtype_policy()
    tf.config.experimental.enable_op_determinism()
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
    keras.config.set_dtype_policy(policy)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.*run_functions_eagerly`")
@pytest.mark.parametrize("path", PATHS)
def test_training(
    path: str, channels: dict[str, Path], swapped: dict[str, Path], tmp_path: Path
) -> None:
    def outcome(changes: dict[str, Any], data: dict[str, Path]) -> object:
        return trained(settings(PATHS[path] | changes), data, tmp_path)

    base = outcome({}, channels)
    balanced = {"class_weights": False, "precision": "bfloat16"}
    others = {"pixels": FITTING | SPLITS, "features": FITTING, "head": balanced}
    for name, value in (INPUTS | others.get(path, {})).items():
        if name in PATHS[path]:
            continue
        if name == "method" and path != "features":
            continue  # another backbone's, or refused with this one: test_choice
        if name == "flip" and path == "head":
            continue  # mirrored images take part if that lowers the loss: test_head
        changed = settings(PATHS[path] | {name: value})
        if name != "patience" and refused(name, changed):
            continue
        if name == "patience":
            longer = {"epochs": 3}
            assert outcome(longer | {name: value}, swapped) != outcome(longer, swapped), name
        elif name == "cache_features" and not augmented(changed):
            continue
        else:
            assert outcome({name: value}, channels) != base, name


def augmented(chosen: Hyperparameters) -> bool:
    """Without augmentation, features from the cache are those of the network: test_fit."""
    return bool(chosen.shift)


def trained(chosen: Hyperparameters, channels: dict[str, Path], folder: Path) -> object:
    """The sets, the losses, and the weights after training, or why there is none."""
    try:
        data = load(channels, spec(chosen), chosen, folder)
    except DataError as error:
        return str(error)
    keras.backend.clear_session()
    keras.utils.set_random_seed(chosen.seed)
    keras.config.set_dtype_policy(dtype_policy(chosen))
    network = tiny(chosen)
    history = train(network, data, chosen, folder, Checkpoint(None, ""), SingleHost())
    names = {name: images.names for name, images in data.sets.items()}
    return names, history["val_loss"], [weight.tobytes() for weight in network.tail.get_weights()]


def tiny(chosen: Hyperparameters) -> Network:
    """A trunk that pools, if the backbone has one, and a dense layer."""
    image = keras.Input((chosen.image_size, chosen.image_size, 3))
    pooled = layers.AveragePooling2D(4)(image)
    if chosen.backbone not in PRETRAINED:
        return Network(spec(chosen), None, keras.Model(image, last(chosen, pooled)))
    features = keras.Input(pooled.shape[1:])
    trunk = keras.Model(image, pooled)
    return Network(spec(chosen), trunk, keras.Model(features, last(chosen, features)))


def last(chosen: Hyperparameters, values: Any) -> Any:
    dropped = layers.Dropout(chosen.dropout)(layers.Flatten()(values))
    return layers.Dense(2, dtype="float32")(dropped)


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_that_a_recipe_sets_has_an_effect(recipe: str) -> None:
    defaults = RECIPES[recipe].defaults
    assert not [*ineffective(defaults, defaults.model_fields_set)]
