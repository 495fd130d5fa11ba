"""Named presets for scaling pixels."""

from dataclasses import dataclass, replace
from typing import Literal

from cli.pack.errors import CannotPack

Order = Literal["RGB", "BGR"]
Preprocessing = Literal["unit", "tf", "imagenet-torch", "imagenet-caffe", "per-image", "none"]


@dataclass(frozen=True)
class Scaling:
    """`(pixel * scale - mean) / std` with channels in `order`, as in the manifest.

    `per_image`: each image is standardised afterwards.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    order: Order = "RGB"
    per_image: bool = False

    def for_channels(self, channels: int) -> "Scaling":
        """Repeat a single `mean` or `std` for each channel. Raises CannotPack."""
        means, stds = (
            each * channels if len(each) == 1 else each for each in (self.mean, self.std)
        )
        for name, values in (("mean", means), ("std", stds)):
            if values and len(values) != channels:
                raise CannotPack(
                    f"{name} has {len(values)} values for {channels} channels: "
                    "give one for each, or choose another --preprocessing"
                )
        return replace(self, mean=means, std=stds)


PRESETS = {
    "unit": Scaling(scale=1 / 255),
    "tf": Scaling(scale=1 / 127.5, mean=(1.0,)),
    "imagenet-torch": Scaling(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "imagenet-caffe": Scaling(mean=(103.939, 116.779, 123.68), order="BGR"),
    "per-image": Scaling(per_image=True),
    "none": Scaling(),
}
"""`unit`: 0 to 1; `per-image`: as by `tf.image.per_image_standardization`; `none`: 0 to 255, for
networks that scale themselves. The others are the modes
of Keras' `imagenet_utils.preprocess_input`: `tf` -1 to 1, `torch`, `caffe`."""
