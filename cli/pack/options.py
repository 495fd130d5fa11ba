"""What only the model's owner knows: labels, scaling, how images are brought to size."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import ValidationError

from cli.pack.errors import CannotPack
from cli.pack.model.activation import Activation, Found
from cli.pack.model.geometry import Geometry, Layout, Size, SizeNeeded, geometry, parse_size
from cli.pack.model.scaling import PRESETS, Order, Scaling
from cli.terminal.prompts import Prompter
from facet.artifact.graphs.saved_model import TensorSpec
from facet.manifest import InputSpec

Resize = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Fit = Literal["stretch", "crop", "pad"]
Chosen = TypeVar("Chosen", bound=str)

DIGITS = ",".join("0123456789")


@dataclass(frozen=True)
class Given:
    """What was said on the command line; None where nothing was."""

    size: str | None = None
    layout: Layout | None = None
    preprocessing: str | None = None
    scale: float | None = None
    mean: str | None = None
    std: str | None = None
    order: Order | None = None
    resize: Resize | None = None
    fit: Fit | None = None


def sized(tensor: TensorSpec, given: Given, prompter: Prompter) -> Geometry:
    """How images go into the tensor. Raises CannotPack, MissingOption."""
    size: Size | None = parse_size(given.size) if given.size else None
    try:
        return geometry(tensor, size, given.layout)
    except SizeNeeded as needed:
        if size and size.channels:
            raise CannotPack(f"--size {given.size} does not say enough: {needed}") from needed
        text = prompter.ask("--size HEIGHTxWIDTHxCHANNELS", f"How large are images? {needed}.")
    try:
        return geometry(tensor, parse_size(text), given.layout)
    except SizeNeeded as needed:
        raise CannotPack(f"{text} does not say enough: {needed}") from needed


def labels(given: str | None, width: int | None, prompter: Prompter) -> tuple[str, ...]:
    """One label for each score, from a list or a file with one a line.

    Raises CannotPack, MissingOption.
    """
    if given is None:
        many = "" if width is None else f"{width} "
        given = prompter.ask(
            f"--labels {DIGITS if width == 10 else 'a,b,c'} (or a file, one a line)",
            f"What are the {many}labels, in the order of the scores?",
            suggestion=DIGITS if width == 10 else None,
        )
    found = _read_labels(given)
    if width is not None and len(found) != width:
        raise CannotPack(f"there are {len(found)} labels for {width} scores: give one for each")
    if twice := sorted({each for each in found if found.count(each) > 1}):
        raise CannotPack(f"labels must differ; more than once: {', '.join(twice[:5])}")
    return found


def _read_labels(given: str) -> tuple[str, ...]:
    path = Path(given)
    if "," not in given and not path.is_file():
        raise CannotPack(f"--labels {given}: there is no such file, and a list has commas")
    texts = path.read_text().splitlines() if "," not in given else given.split(",")
    return tuple(text.strip() for text in texts if text.strip())


def scaling(given: Given, channels: int, prompter: Prompter) -> Scaling:
    """What the network wants done to pixels. Raises CannotPack, MissingOption."""
    by_hand = given.scale is not None or given.mean is not None or given.std is not None
    if given.preprocessing and by_hand:
        raise CannotPack("give --preprocessing, or --scale, --mean and --std, not both")
    if by_hand:
        chosen = Scaling(
            scale=1.0 if given.scale is None else given.scale,
            mean=_numbers("--mean", given.mean),
            std=_numbers("--std", given.std),
        )
    else:
        known = {name: each for name, each in PRESETS.items() if _fits(each, channels)}
        name = given.preprocessing or prompter.ask(
            "--preprocessing",
            "What was done to pixels of 0..255 in training? unit: 0..1; tf: -1..1; "
            "imagenet-torch, imagenet-caffe: as Keras' modes; none: nothing, or in the model.",
            choices=list(known),
        )
        if name not in PRESETS:
            raise CannotPack(f"--preprocessing {name}: there are {', '.join(PRESETS)}")
        chosen = PRESETS[name]
    chosen = chosen.for_channels(channels)
    if channels == 3 and chosen.order == "RGB":
        question = "Of which order are the colours?"
        order = _choice("--order", given.order, get_args(Order), "RGB", question, prompter)
        return replace(chosen, order=order)
    return replace(chosen, order=given.order or chosen.order)


def _fits(preset: Scaling, channels: int) -> bool:
    return len(preset.mean) in (0, 1, channels)


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(",")) if text else ()
    except ValueError as error:
        raise CannotPack(f"{option} {text}: give numbers with commas between them") from error


def spec(
    takes: Geometry, signature: str, tensor: str, given: Given, prompter: Prompter
) -> InputSpec:
    """The manifest's input. Raises CannotPack, MissingOption."""
    if takes.served == "bytes" and not _any_scaling(given):
        pixels = Scaling()  # the graph does it, and nobody else has to know
    else:
        pixels = scaling(given, takes.channels, prompter)
    try:
        return InputSpec.model_validate(
            {
                "signature": signature,
                "tensor": tensor,
                "encoding": "float" if takes.served == "float" else "uint8",
                "height": takes.height,
                "width": takes.width,
                "channels": takes.channels,
                "layout": takes.layout if takes.served == "float" else "hwc",
                "resize": _choice(
                    "--resize",
                    given.resize,
                    get_args(Resize),
                    "bilinear",
                    "With which filter are images brought to size?",
                    prompter,
                ),
                "fit": _choice(
                    "--fit",
                    given.fit,
                    get_args(Fit),
                    "stretch",
                    "What happens to images of another shape?",
                    prompter,
                ),
                "scale": pixels.scale,
                "mean": pixels.mean,
                "std": pixels.std,
                "order": pixels.order,
            }
        )
    except ValidationError as error:
        raise CannotPack("; ".join(each["msg"] for each in error.errors())) from error


def _any_scaling(given: Given) -> bool:
    return any(
        each is not None for each in (given.preprocessing, given.scale, given.mean, given.std)
    )


def _choice(
    option: str,
    given: Chosen | None,
    choices: tuple[Chosen, ...],
    default: Chosen,
    question: str,
    prompter: Prompter,
) -> Chosen:
    answer = given or prompter.ask(option, question, choices=choices, fallback=default)
    return _one_of(option, answer, choices)


def activation(given: str | None, read: Found, prompter: Prompter) -> Activation:
    """What the scores are. Raises CannotPack, MissingOption."""
    choices: tuple[Activation, ...] = get_args(Activation)
    if given and read.sure and given != read.activation:
        raise CannotPack(
            f"--activation {given}: the graph's scores come out of a {read.activation}"
        )
    if read.sure and read.activation:
        return read.activation
    answer = given or prompter.ask(
        "--activation",
        "The graph does not say what its scores are. softmax: they add up to 1; "
        "logits: any numbers; sigmoid: each label by itself.",
        choices=choices,
        suggestion=read.activation,
    )
    return _one_of("--activation", answer, choices)


def _one_of(option: str, answer: str, choices: tuple[Chosen, ...]) -> Chosen:
    for each in choices:
        if answer == each:
            return each
    raise CannotPack(f"{option} {answer}: there are {', '.join(choices)}")
