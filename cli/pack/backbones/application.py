"""Plan a backbone of keras.applications, with the weights of a file or those that Keras has."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.pack.errors import CannotPack
from cli.pack.model import tensorflow
from cli.pack.model.geometry import Size, parse_size
from cli.pack.plan import SIGNATURE, TENSOR, Plan
from facet.recipes import IMAGENET_SIZE, SMALLEST
from facet.specs import InputSpec
from training.weights import Application, identify

if TYPE_CHECKING:
    from training.export.litert import Quantisation

SIDE = re.compile(r"_(128|160|192|224)_(?:tf_)?no_top")
"""The side in the name of a MobileNet's file, as Keras names them."""


@dataclass(frozen=True)
class ApplicationOptions:
    """A network's name, and what the command line says about it; None if not given."""

    name: Application
    weights: Path | None = None
    alpha: float | None = None
    size: str | None = None


def plan(options: ApplicationOptions) -> tuple[Plan, dict[str, str]]:
    """Load the network: a plan, and what the manifest's provenance says. Raises CannotPack."""
    tensorflow.required("`facet pack --backbone`")
    name, weights = options.name, options.weights
    size = _size(options)
    alpha = _alpha(options)
    with tensorflow.quiet():
        from cli.pack.model.reexport import UNIQUE
        from training.applications import APPLICATIONS, body
        from training.export.backbone import feature_spec
        from training.export.graph import bytes_body, pixels_body, save_module
        from training.export.litert import convert_module
        from training.networks import BadWeights

        if alpha is not None and not APPLICATIONS[name].widths:
            raise CannotPack(f"--alpha {alpha:g}: {name} has one width; leave the option out")
        try:
            network = body(name, size, 1.0 if alpha is None else alpha, weights)
        except BadWeights as error:
            raise CannotPack(_no_weights(options, error)) from error
    spec = InputSpec(
        signature=SIGNATURE,
        tensor=TENSOR,
        encoding="uint8",
        height=size[0],
        width=size[1],
        decode="reduced",  # heads are taught on images that are decoded in the same way
        **APPLICATIONS[name].normalisation,
    )

    def export(folder: Path) -> Path:
        save_module(bytes_body(network, spec), spec, folder)
        (folder / UNIQUE).unlink(missing_ok=True)
        return folder

    def convert(quantisation: "Quantisation | None") -> bytes:
        return convert_module(pixels_body(network, spec), spec, quantisation)

    output = feature_spec(network)
    width = f", alpha {alpha:g}" if alpha is not None else ""
    source = f"sha256:{_digest(weights)}" if weights else "ImageNet, downloaded by Keras"
    planned = Plan(
        f"{name} of keras.applications{width}",
        spec,
        output.tensor,
        output.width,
        export=export,
        converters=(convert,),
        maps=output.maps,
    )
    return planned, {"weights": source}


def _alpha(options: ApplicationOptions) -> float | None:
    """The width factor: that of the weights in the file, if it shows. Raises CannotPack."""
    if options.weights is None:
        return options.alpha
    if not options.weights.is_file():
        raise CannotPack(f"--weights {options.weights}: there is no such file")
    known = identify(options.weights)
    if known is None:
        return options.alpha
    alpha = known.get("alpha")
    found = float(alpha) if isinstance(alpha, float) else None
    if known["backbone"] != options.name or options.alpha not in (None, found):
        width = f" --alpha {found:g}" if found is not None else ""
        own = f"{known['backbone']}{width}"
        raise CannotPack(f"{options.weights} has the weights of {own}: use --backbone {own}")
    return found


def _size(options: ApplicationOptions) -> tuple[int, int]:
    if options.size is None:
        named = SIDE.search(options.weights.name) if options.weights else None
        side = int(named[1]) if named else IMAGENET_SIZE
        return side, side
    given: Size = parse_size(options.size)
    if given.channels == 1 or min(given.height, given.width) < SMALLEST:
        raise CannotPack(
            f"--size {options.size}: networks of keras.applications take colour images of at least "
            f"{SMALLEST}x{SMALLEST} pixels"
        )
    return given.height, given.width


def _no_weights(options: ApplicationOptions, error: Exception) -> str:
    if options.weights:
        return (
            f"{options.weights} has no weights of {options.name} without its top: {error}. Give an "
            ".h5 file of keras.applications whose name ends with notop or no_top; --alpha says "
            "which width it has"
        )
    return (
        f"Keras cannot download the weights of {options.name}: {error}. Without a network, give "
        "--weights FILE, an .h5 file of keras.applications without the top"
    )


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
