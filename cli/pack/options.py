"""Options that no model contains: labels, scaling, resizing. Given as options, or asked.

Without a person, placeholders stand for what is missing, so that all of it is named at once.
"""

from dataclasses import dataclass, replace
from typing import TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cli.pack import label_file
from cli.pack.errors import CannotPack
from cli.pack.model.activation import Activation, DetectedActivation
from cli.pack.model.geometry import Geometry, Layout, Size, SizeNeeded, geometry, parse_size
from cli.pack.model.scaling import PRESETS, Order, Scaling
from cli.terminal.prompts import Missing, Prompter
from facet.artifact.graphs.saved_model import TensorSpec
from facet.specs import Fit, InputSpec, Resize

Choice = TypeVar("Choice", bound=str)

ENCODINGS = {"float": "float", "files": "jpeg"}
"""The manifest's encoding for each way in which images are sent, where it is not `uint8`."""

DIGITS = ",".join("0123456789")


@dataclass(frozen=True)
class InputOptions:
    """Command line options about the model's input; None if not given."""

    size: str | None = None
    layout: Layout | None = None
    preprocessing: str | None = None
    scale: str | None = None
    mean: str | None = None
    std: str | None = None
    order: Order | None = None
    resize: Resize | None = None
    fit: Fit | None = None
    resize_to: int | None = None
    fill: str | None = None
    invert: bool = False


def needed(labels: str | None, options: InputOptions) -> list[Missing]:
    """List the missing options that every model needs."""
    missing = [] if labels else [_labels_missing(None)]
    return missing if options.resize else [*missing, RESIZE]


def image_geometry(tensor: TensorSpec, options: InputOptions, prompter: Prompter) -> Geometry:
    """Determine how images go into the tensor. Raises CannotPack, MissingOption."""
    size: Size | None = parse_size(options.size) if options.size else None
    try:
        return geometry(tensor, size, options.layout)
    except SizeNeeded as needed:
        if size and size.channels:
            raise CannotPack(f"--size {options.size} is not enough: {needed}") from needed
        text = prompter.ask(
            "--size HEIGHTxWIDTHxCHANNELS",
            f"How large are images? {needed}.",
            placeholder="32x32x3",
            check=lambda answer: _asked_geometry(answer, tensor, options),
        )
    try:
        return _asked_geometry(text, tensor, options)
    except CannotPack:
        prompter.finish()  # the placeholder may not fit
        raise


def _asked_geometry(text: str, tensor: TensorSpec, options: InputOptions) -> Geometry:
    try:
        return geometry(tensor, parse_size(text), options.layout)
    except SizeNeeded as needed:
        raise CannotPack(f"--size {text} is not enough: {needed}") from needed


def labels(option_value: str | None, width: int | None, prompter: Prompter) -> tuple[str, ...]:
    """Read one label for each score, from a list or a file. Raises CannotPack, MissingOption."""
    if option_value is None:
        missing = _labels_missing(width)
        option_value = prompter.ask(
            missing.option,
            missing.question,
            suggestion=DIGITS if width == 10 else None,
            placeholder=",".join(map(str, range(width or 2))),
            check=lambda answer: _checked_labels(answer, width),
        )
    return _checked_labels(option_value, width)


def _labels_missing(width: int | None) -> Missing:
    many = {None: "", 1: "two "}.get(width, f"{width} ")
    return Missing(
        f"--labels {DIGITS if width == 10 else 'a,b,c'} (or a file, one a line)",
        f"What are the {many}labels, in the order of the scores?",
    )


def _checked_labels(text: str, width: int | None) -> tuple[str, ...]:
    found = label_file.read(text)
    binary = width == 1 and len(found) == 2  # one score, of the second label
    if width is not None and len(found) != width and not binary:
        problem = f"there are {len(found)} labels for {width} scores: give one for each"
        if width == 1:
            problem = (
                f"there are {len(found)} labels, but the model gives one score for each image: "
                "give two, the second of them the one that the score is of"
            )
        raise CannotPack(problem)
    if twice := sorted({each for each in found if found.count(each) > 1}):
        raise CannotPack(f"labels must differ; more than once: {', '.join(twice[:5])}")
    return found


def scaling(options: InputOptions, channels: int, prompter: Prompter) -> Scaling:
    """Determine how the network expects pixels to be scaled. Raises CannotPack, MissingOption."""
    by_hand = options.scale is not None or options.mean is not None or options.std is not None
    if options.preprocessing and by_hand:
        raise CannotPack("give either --preprocessing, or --scale, --mean and --std")
    if by_hand:
        chosen = Scaling(
            scale=1.0 if options.scale is None else _number("--scale", options.scale),
            mean=_numbers("--mean", options.mean),
            std=_numbers("--std", options.std),
        )
    else:
        known = {name: each for name, each in PRESETS.items() if _fits(each, channels)}
        name = options.preprocessing or prompter.ask(
            "--preprocessing",
            "How did training scale pixels of 0..255? unit: 0..1; tf: -1..1; "
            "imagenet-torch, imagenet-caffe: Keras' modes; per-image: "
            "tf.image.per_image_standardization; none: not at all, or in the model.",
            choices=list(known),
            placeholder="none",
        )
        if name not in PRESETS:
            raise CannotPack(f"--preprocessing {name}: choose {', '.join(PRESETS)}")
        chosen = PRESETS[name]
    chosen = chosen.for_channels(channels)
    if channels == 3 and chosen.order == "RGB":
        question = "In which order are the colour channels?"
        order = _choice("--order", options.order, get_args(Order), "RGB", question, prompter)
        return replace(chosen, order=order)
    return replace(chosen, order=options.order or chosen.order)


def _fits(preset: Scaling, channels: int) -> bool:
    return len(preset.mean) in (0, 1, channels)


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    return tuple(_number(option, each) for each in text.split(",")) if text else ()


def _number(option: str, text: str) -> float:
    """Read a number or a fraction such as 1/255."""
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError) as error:
        raise CannotPack(
            f"{option} {text}: give numbers such as 0.5 or 1/255, separated by commas"
        ) from error


def spec(
    takes: Geometry, signature: str, tensor: str, options: InputOptions, prompter: Prompter
) -> InputSpec:
    """Build the manifest's input. Raises CannotPack, MissingOption."""
    if takes.served in ("bytes", "files") and not _any_scaling(options):
        pixels = Scaling()  # the graph scales the pixels
    else:
        pixels = scaling(options, takes.channels, prompter)
    try:
        return InputSpec.model_validate(
            {
                "signature": signature,
                "tensor": tensor,
                "encoding": ENCODINGS.get(takes.served, "uint8"),
                "height": takes.height,
                "width": takes.width,
                "channels": takes.channels,
                "layout": takes.layout if takes.served == "float" else "hwc",
                "resize": _resize(takes, options.resize, prompter),
                "fit": _choice(
                    "--fit",
                    options.fit,
                    get_args(Fit),
                    "stretch",
                    "What happens to images of another shape?",
                    prompter,
                ),
                "resize_to": options.resize_to,
                "fill": _fill(options.fill, takes.channels),
                "invert": options.invert,
                "scale": pixels.scale,
                "mean": pixels.mean,
                "std": pixels.std,
                "order": pixels.order,
                "per_image_standardization": pixels.per_image,
            }
        )
    except ValidationError as error:
        raise CannotPack("; ".join(map(_problem, error.errors()))) from error


RESIZES: tuple[Resize, ...] = get_args(Resize)
RESIZE = Missing(
    "--resize",
    "With which filter did training resize images? tf-bilinear: tf.image.resize, Keras' "
    "image_dataset_from_directory and Resizing; cv2-linear: cv2.resize; nearest, bilinear, …: "
    "Pillow, torchvision and Keras' load_img and ImageDataGenerator (nearest by default).",
    RESIZES,
)


def _resize(takes: Geometry, option_value: str | None, prompter: Prompter) -> Resize:
    if takes.served == "files" and option_value is None:
        return "bilinear"  # the graph resizes
    answer = option_value or prompter.ask(
        RESIZE.option,
        RESIZE.question,
        choices=RESIZES,
        suggestion="tf-bilinear",
        placeholder="bilinear",
    )
    return _one_of("--resize", answer, RESIZES)


def _fill(text: str | None, channels: int) -> tuple[float, ...]:
    numbers = _numbers("--fill", text)
    return numbers * channels if len(numbers) == 1 else numbers


def _problem(error: ErrorDetails) -> str:
    place = ".".join(str(each) for each in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    return message if message.startswith(place) else f"{place}: {message}"


def _any_scaling(options: InputOptions) -> bool:
    return any(
        each is not None
        for each in (options.preprocessing, options.scale, options.mean, options.std)
    )


def _choice(
    option: str,
    option_value: Choice | None,
    choices: tuple[Choice, ...],
    default: Choice,
    question: str,
    prompter: Prompter,
) -> Choice:
    answer = option_value or prompter.ask(option, question, choices=choices, fallback=default)
    return _one_of(option, answer, choices)


def activation(
    option_value: str | None, read: DetectedActivation, prompter: Prompter
) -> Activation:
    """Determine the scores' activation. Raises CannotPack, MissingOption."""
    choices: tuple[Activation, ...] = get_args(Activation)
    if option_value and read.sure and option_value != read.activation:
        raise CannotPack(
            f"--activation {option_value}: the graph's scores come out of a {read.activation}"
        )
    if read.sure and read.activation:
        return read.activation
    answer = option_value or prompter.ask(
        "--activation",
        "Which activation do the scores have? softmax: they add up to 1; "
        "logits: any numbers; sigmoid: each label is independent.",
        choices=choices,
        suggestion=read.activation,
        placeholder=read.activation or "softmax",
    )
    return _one_of("--activation", answer, choices)


def _one_of(option: str, answer: str, choices: tuple[Choice, ...]) -> Choice:
    for each in choices:
        if answer == each:
            return each
    raise CannotPack(f"{option} {answer}: choose {', '.join(choices)}")
