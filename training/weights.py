"""A file of pretrained weights: which backbone it fits, by the shapes of its arrays.

No TensorFlow here: `facet train` asks before it uploads the file.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from facet.recipes import PRETRAINED, Hyperparameters

Shape = tuple[int, ...]
Shapes = Counter[Shape]
"""Of all arrays with two dimensions or more: kernels, in Keras's order of axes."""

VGG16 = (64, 64, 128, 128, *(256,) * 3, *(512,) * 6)
MOBILENET = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
MOBILENET_V2 = (16, *(24,) * 2, *(32,) * 3, *(64,) * 4, *(96,) * 3, *(160,) * 3, 320)
"""Filters of the blocks, the narrowest first, if alpha is 1. Source: keras.applications."""

FIRST, LAST, EXPANSION = 32, 1280, 6
"""Filters of a MobileNet's first convolution; of MobileNetV2's last; its blocks' expansion."""

WIDEST = {"vgg16": 1, "mobilenet": MOBILENET[-1], "mobilenet-v2": EXPANSION * MOBILENET_V2[-2]}
"""Channels of the widest depthwise convolution if alpha is 1. VGG16 has none."""

Application = Literal[
    "vgg16",
    "mobilenet",
    "mobilenet-v2",
    "mobilenet-v3-small",
    "mobilenet-v3-large",
    "efficientnet-b0",
    "efficientnet-v2-b0",
    "resnet50",
]
"""The networks of `training.applications`."""

WANTED = "give an .h5 file of keras.applications without its top (…_notop.h5, …_no_top.h5)"


def identify(weights: Path) -> dict[str, object] | None:
    """The hyperparameters `backbone` and `alpha` of a file of keras.applications, if it is one."""
    try:
        known = _identified(_read(weights))
    except OSError:
        return None
    return _hyperparameters(*known) if known else None


def misfit(weights: Path, settings: Hyperparameters, given: Collection[str]) -> str | None:
    """What keeps a job from starting with the file, and what to do; None if nothing does.

    `given` are the names of the hyperparameters that the job sets.
    """
    try:
        found = _read(weights)
    except OSError:
        return f"{weights} is no HDF5 file; {WANTED}"
    known, backbone, alpha = _identified(found), settings.backbone, settings.alpha
    if backbone == "auto":
        if known and ("alpha" not in given or found == shapes(known[0], alpha)):
            return None
    elif found == shapes(backbone, alpha):
        return None
    if known:
        own = _hyperparameters(*known)
        has = " ".join(f"{name}={value}" for name, value in own.items())
        wanted = " ".join(f"{name}={getattr(settings, name)}" for name in own)
        sets = " ".join(f"--set {name}={value}" for name, value in own.items())
        return f"{weights} has the weights of {has}, not of {wanted}: use {sets}"
    if any(found > shapes(each, _alpha(each, found)) for each in PRETRAINED):
        return f"{weights} has more layers than a backbone; {WANTED}"
    return f"{weights} has no weights of {', '.join(PRETRAINED)}; {WANTED}"


def _identified(found: Shapes) -> tuple[str, float] | None:
    candidates = ((each, _alpha(each, found)) for each in PRETRAINED)
    return next((each for each in candidates if found == shapes(*each)), None)


def _hyperparameters(backbone: str, alpha: float) -> dict[str, object]:
    return {"backbone": backbone} | ({} if backbone == "vgg16" else {"alpha": alpha})


def _alpha(backbone: str, found: Shapes) -> float:
    """The width factor, in hundredths, that the widest depthwise kernel has; 1 without any."""
    widest = max((shape[-2] for shape in found if shape[-1] == 1), default=0)
    return round(widest / WIDEST[backbone], 2) if widest else 1.0


def _read(weights: Path) -> Shapes:
    """Raises OSError, and ImportError without h5py, which TensorFlow brings."""
    import h5py

    found: list[Shape] = []

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found.append(item.shape)

    with h5py.File(weights) as file:
        file.visititems(take)
    return Counter(each for each in found if len(each) > 1)


def shapes(backbone: str, alpha: float) -> Shapes:
    """A backbone's arrays of two dimensions or more. `alpha` is a MobileNet's width factor."""
    if backbone == "vgg16":
        return Counter((3, 3, *pair) for pair in zip((3, *VGG16), VGG16, strict=False))
    return Counter(_mobilenet(alpha) if backbone == "mobilenet" else _mobilenet_v2(alpha))


def _mobilenet(alpha: float) -> Iterator[Shape]:
    channels = int(FIRST * alpha)
    yield (3, 3, 3, channels)
    for filters in MOBILENET:
        yield (3, 3, channels, 1)
        yield (1, 1, channels, int(filters * alpha))
        channels = int(filters * alpha)


def _mobilenet_v2(alpha: float) -> Iterator[Shape]:
    channels = _divisible(FIRST * alpha)
    yield (3, 3, 3, channels)
    for index, filters in enumerate(MOBILENET_V2):
        expanded = channels * (EXPANSION if index else 1)
        if index:
            yield (1, 1, channels, expanded)
        yield (3, 3, expanded, 1)
        channels = _divisible(int(filters * alpha))
        yield (1, 1, expanded, channels)
    yield (1, 1, channels, _divisible(LAST * max(alpha, 1)))


def _divisible(filters: float) -> int:
    """The nearest multiple of 8, at least 90 % of the number."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8
