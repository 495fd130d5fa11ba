"""Choose the SavedModel's signature and tensors that classify images."""

from collections.abc import Mapping
from dataclasses import dataclass

from cli.pack.errors import CannotPack
from cli.terminal.prompts import Prompter
from facet.artifact.graphs.saved_model import Signature, TensorSpec

NUMBERS = ("float16", "bfloat16", "float32", "float64")

KEYS = ("key", "keys")
"""Inputs that AutoML and batch prediction add: strings that come back beside the scores."""

NO_SIGNATURE = (
    "the model has no signature: nothing in it can be called by name. Save it where it was trained "
    "with tf.saved_model.save(model, folder, signatures=model.call.get_concrete_function("
    'tf.TensorSpec([None, HEIGHT, WIDTH, 3], name="image"))), or a Keras model with model.export'
)


@dataclass(frozen=True)
class Selection:
    """A signature and its tensors; `labels` is the output's width, None if unknown.

    `keys` are inputs of strings beside the image, which the model only returns. `plain` says
    whether the scores are float32 rows; others are exported again.
    """

    signature: str
    input: str
    takes: TensorSpec
    output: str
    labels: int | None
    keys: tuple[str, ...] = ()
    plain: bool = True


def choose(
    signatures: Mapping[str, Signature],
    prompter: Prompter,
    *,
    signature: str | None = None,
    tensor: str | None = None,
    output: str | None = None,
) -> Selection:
    """Choose by the options, else the only candidates, else by asking.

    Raises CannotPack, MissingOption.
    """
    offered = {
        name: each
        for name, each in signatures.items()
        if not name.startswith("__saved_model") and not _is_duplicate(name, signatures)
    }
    if not offered:
        raise CannotPack(NO_SIGNATURE)
    name = choose_name(
        signatures if signature else offered, signature, prompter, "--signature", "signature"
    )
    chosen = signatures[name]
    keys = _keys(chosen.inputs)
    images = {each: spec for each, spec in chosen.inputs.items() if each not in keys}
    if len(images) > 1:
        raise CannotPack(
            f"signature '{name}' takes {', '.join(sorted(chosen.inputs))}: "
            "a classifier takes the image alone. Choose another --signature, or export one"
        )
    takes = choose_name(images, tensor, prompter, "--input", "input")
    gives = _choose_output(chosen, output, prompter)
    return Selection(
        signature=name,
        input=takes,
        takes=chosen.inputs[takes],
        output=gives,
        labels=width(chosen.outputs[gives]),
        keys=keys,
        plain=_is_plain(chosen.outputs[gives]),
    )


def _keys(inputs: Mapping[str, TensorSpec]) -> tuple[str, ...]:
    strings = [name for name in KEYS if name in inputs and inputs[name].dtype == "string"]
    return tuple(strings) if len(inputs) > len(strings) else ()


def _choose_output(chosen: Signature, output: str | None, prompter: Prompter) -> str:
    """Rows of scores are preferred; then other forms, which are exported again."""
    scores = {each: spec for each, spec in chosen.outputs.items() if _form(spec)}
    rows = {each: spec for each, spec in scores.items() if _form(spec) == "rows"}
    if output is None and not scores:
        shapes = ", ".join(_shown(each, spec) for each, spec in sorted(chosen.outputs.items()))
        raise CannotPack(
            f"no output of the model is a row of scores for each image: it has {shapes or 'none'}. "
            "If one is, name it with --output"
        )
    offered = chosen.outputs if output else rows or scores
    return choose_name(offered, output, prompter, "--output", "output of scores")


def _form(tensor: TensorSpec) -> str | None:
    """How scores lie in a tensor: `rows`, `other`, or None if they cannot."""
    if tensor.dtype not in NUMBERS:
        return None
    if tensor.shape is None or len(tensor.shape) == 2:
        return "rows"
    return "other" if all(size == 1 for size in tensor.shape[1:-1]) and tensor.shape else None


def _is_plain(tensor: TensorSpec) -> bool:
    return tensor.dtype in ("float32", "float64") and _form(tensor) == "rows"


def width(tensor: TensorSpec) -> int | None:
    """Return how many scores a tensor has for each image; None if that is unknown."""
    shape = tensor.shape
    if shape is None or not shape:
        return None
    if len(shape) == 1:
        return 1
    return shape[-1] if shape[-1] > 0 and all(size == 1 for size in shape[1:-1]) else None


def _shown(name: str, tensor: TensorSpec) -> str:
    shape = "any shape" if tensor.shape is None else str(list(tensor.shape))
    return f"{name} ({tensor.dtype} {shape})"


def _is_duplicate(name: str, signatures: Mapping[str, Signature]) -> bool:
    """Keras' `export` writes the same function under two names."""
    return name == "serve" and signatures[name] == signatures.get("serving_default")


def choose_name(
    names: Mapping[str, object], given: str | None, prompter: Prompter, option: str, kind: str
) -> str:
    """Return the given name, the only one, or the one that a person chooses.

    Raises CannotPack, MissingOption.
    """
    choices = sorted(names)
    if given is None and len(choices) > 1:
        given = prompter.ask(
            option, f"The model has several: which {kind} classifies images?", choices=choices
        )
    if given is None and choices:
        return choices[0]
    if given is None or given not in names:
        has = ", ".join(choices) or "none"
        raise CannotPack(f"the model has no {kind}{f' {given!r}' if given else ''}: it has {has}")
    return given
