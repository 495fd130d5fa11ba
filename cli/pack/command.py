"""`facet pack`: reads what it can, asks for the rest, proves the result."""

import shlex
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.pack import artifact
from cli.pack.artifact import Packed
from cli.pack.build import About, Built, build
from cli.pack.errors import CannotPack
from cli.pack.model.activation import Activation
from cli.pack.model.geometry import Layout
from cli.pack.model.scaling import Order
from cli.pack.model.source import find
from cli.pack.options import Fit, Given, Resize
from cli.pack.plan import plan
from cli.terminal.options import AsJson, Yes
from cli.terminal.output import Output, facts
from cli.terminal.prompts import prompter
from facet.keys import MODEL_NAME
from facet.manifest import Manifest

READ = "What the source says by itself, if it is not clear"
ASKED = "What only you know (asked for on a terminal)"
PROOF = "Proof"

Preprocessing = Literal["unit", "tf", "imagenet-torch", "imagenet-caffe", "none"]


def pack(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A SavedModel's folder (or the one around it), a .keras or .h5 file.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The artifact.")] = Path("model.tar.gz"),
    labels: Annotated[
        str | None,
        typer.Option(help="a,b,c or a file with one a line.", rich_help_panel=ASKED),
    ] = None,
    preprocessing: Annotated[
        Preprocessing | None,
        typer.Option(
            help="What was done to pixels in training. unit: 0 to 1; tf: -1 to 1; imagenet-…: as "
            "Keras' preprocess_input; none: nothing, or inside the model.",
            rich_help_panel=ASKED,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Instead: (pixel * scale - mean) / std.", rich_help_panel=ASKED),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="One number, or r,g,b.", rich_help_panel=ASKED)
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="One number, or r,g,b.", rich_help_panel=ASKED)
    ] = None,
    order: Annotated[
        Order | None, typer.Option(help="Of the colours.", rich_help_panel=ASKED)
    ] = None,
    resize: Annotated[
        Resize | None,
        typer.Option(help="Pillow's filter; else bilinear.", rich_help_panel=ASKED),
    ] = None,
    fit: Annotated[
        Fit | None,
        typer.Option(
            help="Other shapes are stretched, if nothing is said, cropped, or padded.",
            rich_help_panel=ASKED,
        ),
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="The SavedModel's signature.", rich_help_panel=READ)
    ] = None,
    tensor: Annotated[
        str | None, typer.Option("--input", help="The signature's input.", rich_help_panel=READ)
    ] = None,
    output_tensor: Annotated[
        str | None, typer.Option("--output", help="The signature's output.", rich_help_panel=READ)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS.", rich_help_panel=READ),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(help="Where the input's shape is open.", rich_help_panel=READ),
    ] = None,
    activation: Annotated[
        Activation | None, typer.Option(help="What the scores are.", rich_help_panel=READ)
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(
            help="An image to go with the artifact, which the endpoint must answer alike.",
            rich_help_panel=PROOF,
        ),
    ] = None,
    golden_label: Annotated[
        str | None, typer.Option(help="What it shows.", rich_help_panel=PROOF)
    ] = None,
    lite: Annotated[
        bool,
        typer.Option(
            "--lite/--no-lite", help="Add the same model for LiteRT.", rich_help_panel=PROOF
        ),
    ] = True,
    model: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    description: Annotated[str, typer.Option(help="For people.", show_default=False)] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make an artifact, model.tar.gz, of any SavedModel or Keras file.

    It reads the model's signature and asks for what that does not say.

    Without a terminal, or with --yes, it names the option that is missing.
    """
    output = Output(as_json)
    _check(model, golden, golden_label, out)
    ask = prompter(output.remarks, silent=yes or as_json)
    given = Given(size, layout, preprocessing, scale, mean, std, order, resize, fit)
    found = find(source)
    about = About(labels, activation, golden, golden_label, model, description, found.name, lite)
    with tempfile.TemporaryDirectory() as scratch:
        planned = plan(found, given, ask, signature=signature, tensor=tensor, output=output_tensor)
        built = build(planned, about, ask, Path(scratch), output.remark)
        packed = artifact.write(built.manifest, built.files, out)
    if packed.violations:
        _refused(output, packed)
    _tell(output, built, packed, out)


def _check(model: str | None, golden: Path | None, golden_label: str | None, out: Path) -> None:
    if model is not None and not MODEL_NAME.fullmatch(model):
        raise CannotPack(f"--model {model}: a name has a-z, 0-9 and '-', at most 63 of them")
    if golden_label is not None and golden is None:
        raise CannotPack("--golden-label belongs to an image: name it with --golden")
    if not out.resolve().parent.is_dir():
        raise CannotPack(f"--out {out}: there is no folder {out.parent}")


def _refused(output: Output, packed: Packed) -> None:
    problems = [
        f"{each.code}: {each.place}: {each.problem}; {each.remedy}" for each in packed.violations
    ]
    output.result(
        {
            "violations": [
                {
                    "code": each.code,
                    "place": each.place,
                    "problem": each.problem,
                    "remedy": each.remedy,
                }
                for each in packed.violations
            ]
        },
        ["onboarding would refuse it, nothing was written:", *problems],
    )
    raise typer.Exit(1)


def _tell(output: Output, built: Built, packed: Packed, out: Path) -> None:
    manifest = built.manifest
    named = "" if manifest.model else " --model NAME"
    upload = f"facet push {shlex.quote(str(out))}{named}"
    document = {
        "artifact": str(out),
        "version": packed.version,
        "size": packed.size,
        "lite": built.lite,
        "manifest": manifest.model_dump(mode="json", by_alias=True, exclude_none=True),
        "next": upload,
    }
    output.result(document, [*facts(_facts(built, packed, out)), "", f"next: {upload}"])


def _facts(built: Built, packed: Packed, out: Path) -> dict[str, str]:
    manifest = built.manifest
    given, golden = manifest.input, manifest.golden
    return {
        "artifact": f"{out}, {packed.size / 1e6:.2f} MB",
        "version": packed.version,
        "made of": f"{manifest.provenance['packed_from']} ({manifest.provenance['kind']})",
        "signature": f"{given.signature}: {given.tensor} → {manifest.output.tensor}",
        "images": f"{given.height}x{given.width}x{given.channels} {given.layout}, "
        f"{given.encoding}, {given.resize}, {given.fit}",
        "pixels": _arithmetic(manifest),
        "scores": f"{len(manifest.labels)}, {manifest.output.activation}",
        "labels": _short(manifest.labels),
        "golden": f"{golden.label} {golden.score:.4f}" if golden else "none: proof will be smoke",
        "LiteRT": built.lite,
    }


def _arithmetic(manifest: Manifest) -> str:
    given = manifest.input
    numbers = [f"* {given.scale:.6g}"]
    numbers += [f"- {given.mean}"] if given.mean else []
    numbers += [f"/ {given.std}"] if given.std else []
    return f"{' '.join(numbers)}, {given.order}" if given.channels == 3 else " ".join(numbers)


def _short(labels: tuple[str, ...]) -> str:
    text = ", ".join(labels)
    return text if len(text) <= 72 else f"{text[:69]}..."
