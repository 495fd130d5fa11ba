"""Choose the SavedModel's signature and tensors that classify images."""

from collections.abc import Mapping
from dataclasses import dataclass

from cli.pack.errors import CannotPack
from cli.terminal.prompts import Prompter
from facet.artifact.graphs.saved_model import Signature, TensorSpec


@dataclass(frozen=True)
class Selection:
    """A signature and its tensors; `labels` is the output's width, None if unknown."""

    signature: str
    input: str
    takes: TensorSpec
    output: str
    labels: int | None


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
    name = _choose_name(
        signatures if signature else offered, signature, prompter, "--signature", "signature"
    )
    chosen = signatures[name]
    if len(chosen.inputs) > 1:
        raise CannotPack(
            f"signature '{name}' takes {', '.join(sorted(chosen.inputs))}: "
            "a classifier takes the image alone. Choose another --signature, or export one"
        )
    takes = _choose_name(chosen.inputs, tensor, prompter, "--input", "input")
    rows = {each: spec for each, spec in chosen.outputs.items() if _may_be_scores(spec)}
    gives = _choose_name(
        chosen.outputs if output else rows, output, prompter, "--output", "output of scores"
    )
    shape = chosen.outputs[gives].shape
    return Selection(
        signature=name,
        input=takes,
        takes=chosen.inputs[takes],
        output=gives,
        labels=shape[1] if shape and len(shape) == 2 and shape[1] > 0 else None,
    )


def _is_duplicate(name: str, signatures: Mapping[str, Signature]) -> bool:
    """Keras' `export` writes the same function under two names."""
    return name == "serve" and signatures[name] == signatures.get("serving_default")


def _choose_name(
    names: Mapping[str, object], given: str | None, prompter: Prompter, option: str, kind: str
) -> str:
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


def _may_be_scores(tensor: TensorSpec) -> bool:
    """Whether the tensor may hold a row of scores for each image."""
    return tensor.dtype in ("float32", "float64", "float16") and (
        tensor.shape is None or len(tensor.shape) == 2
    )
