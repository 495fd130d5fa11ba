"""Which hyperparameters change nothing beside the others of a job, and what to do instead.

A job that sets one of those is refused: a reader of its model's provenance would believe that it
took part. Defaults of a recipe may be without effect; provenance leaves them out.
"""

from collections.abc import Collection, Iterator

from facet.recipes import FROM_SCRATCH, PRETRAINED, Hyperparameters

AUGMENTATION = ("shift", "rotation", "zoom", "flip", "brightness", "contrast", "tint")

DESCENT = (
    *("epochs", "batch_size", "learning_rate", "weight_decay", "label_smoothing", "patience"),
    *("dropout", "cache_features", "views"),
)
"""What only gradient descent uses."""

OFF = dict.fromkeys(
    (*AUGMENTATION, "cache_features", "validation_share", "test_share", "mirror_average"), 0
) | {"views": 1}
"""The values that may be given for a hyperparameter without effect: nothing is asked for."""


def ineffective(
    settings: Hyperparameters, given: Collection[str], channels: Collection[str] = ()
) -> Iterator[str]:
    """A line for each of the `given` names that changes nothing beside the other settings.

    Names may have `-` or `_`. `channels` are those of the data set, if they are known.
    """
    fields = {name.replace("-", "_") for name in given}
    for name, reason in without_effect(settings, channels).items():
        value = getattr(settings, name)
        if name in fields and value != OFF.get(name):
            yield f"{name.replace('_', '-')} {value}: has no effect, because {reason}."


def without_effect(settings: Hyperparameters, channels: Collection[str] = ()) -> dict[str, str]:
    """The fields that change nothing beside the others: why, and what to do.

    A test trains with each field changed: here is every field that left the weights the same.
    """
    found: dict[str, str] = {}
    for applies, names, reason in _without_effect(settings, channels):
        found |= dict.fromkeys(names if applies else (), reason)
    return found


def _without_effect(
    settings: Hyperparameters, channels: Collection[str]
) -> Iterator[tuple[bool, tuple[str, ...], str]]:
    backbone, epochs, views = settings.backbone, settings.epochs, settings.views
    scratch, article = backbone in FROM_SCRATCH, backbone == "article-cnn"
    head = settings.method == "head"
    cached = not scratch and not head and settings.cache_features
    augmented = any(getattr(settings, name) for name in AUGMENTATION)
    yield (
        not backbone.startswith(("mobilenet", "auto")),
        ("alpha",),
        f"{backbone} has no width factor; remove it, or set backbone to mobilenet or mobilenet-v2",
    )
    yield (
        backbone != "cnn",
        ("width",),
        f"{backbone} has its own numbers of filters; remove it, or set backbone to cnn",
    )
    yield (
        article,
        ("dense", "dropout"),
        "article-cnn is the article's network, unchanged; remove it, or set backbone to cnn",
    )
    yield (
        scratch,
        ("cache_features", "views"),
        f"{backbone} has no frozen layers; remove it, or set backbone to {', '.join(PRETRAINED)}",
    )
    yield (
        not scratch and not settings.cache_features,
        ("views",),
        "every epoch augments images anew if cache-features is false; remove one of the two",
    )
    yield (
        cached and not augmented,
        ("views",),
        "all variants of an image are equal; set an augmentation, such as shift, too",
    )
    yield (
        cached and views > epochs,
        ("views",),
        f"an epoch trains on one variant of each image, and there are {epochs} epochs; set views "
        "to that number or less, or more epochs",
    )
    yield (
        cached and min(views, epochs) == 1,
        AUGMENTATION,
        "only features of the unchanged images are cached; set views and epochs to 2 or more, or "
        "cache-features to false",
    )
    yield (
        0 < settings.shift * settings.image_size <= 0.5,
        ("shift",),
        f"it is not half a pixel of {settings.image_size}, and images move by whole pixels; set "
        f"more than {0.5 / settings.image_size:.2g}, or 0",
    )
    yield (
        0 < settings.patience >= epochs - 1,
        ("patience",),
        f"training ends after {epochs} epochs anyway; set it to 0, or to less than {epochs - 1}",
    )
    yield (
        head,
        (*DESCENT, *(name for name in AUGMENTATION if name != "flip")),
        "a head is computed in closed form from each image and, with flip, its mirrored image; "
        "remove it, or set method to fine-tune",
    )
    yield (
        settings.quantize == "none",
        ("max_accuracy_loss",),
        "nothing is lost without quantising; remove it, or set quantize to float16 or int8",
    )
    yield (
        settings.output == "features",
        ("mirror_average", "max_accuracy_loss"),
        "the exported backbone gives features of one image; remove it, or set output to scores",
    )
    yield (
        "validation" in channels,
        ("validation_share",),
        "the data set has a channel 'validation', so that none is split off; remove it",
    )
    yield (
        "test" in channels,
        ("test_share",),
        "the data set has a channel 'test', so that none is split off; remove it",
    )
