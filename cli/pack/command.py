"""The command `facet pack`: read the model, ask for the rest, build and validate the artifact."""

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from cli.pack import artifact
from cli.pack.backbones import application, arguments
from cli.pack.backbones.build import build_backbone
from cli.pack.build import ArtifactOptions, build
from cli.pack.errors import CannotPack
from cli.pack.lite.quantisation import QuantiseOptions
from cli.pack.model.activation import Activation
from cli.pack.model.geometry import Layout
from cli.pack.model.scaling import Order, Preprocessing
from cli.pack.model.source import LiteFile, SavedModelFolder, find
from cli.pack.options import InputOptions, needed
from cli.pack.plan import Names, plan
from cli.pack.report import print_rejection, print_result
from cli.terminal.options import AsJson, Yes
from cli.terminal.output import Output
from cli.terminal.prompts import MissingOption, prompter
from facet.keys import MODEL_NAME
from facet.specs import Fit, Resize
from training.export.loss import Kind

PANEL_MODEL = "Read from the model; needed only if it is ambiguous"
PANEL_ASKED = "Not in the model (asked for on a terminal)"
PANEL_PROOF = "Golden sample and checks"
PANEL_LITE = "LiteRT, which Facet's container prefers"


def pack(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            show_default=False,
            help="A SavedModel's folder or its parent, or a file: Keras, frozen graph, LiteRT.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The artifact's file.")] = Path(
        "model.tar.gz"
    ),
    labels: Annotated[
        str | None,
        typer.Option(
            help="a,b,c or a file: one label a line, or Keras' class_indices as JSON.",
            rich_help_panel=PANEL_ASKED,
        ),
    ] = None,
    preprocessing: Annotated[
        Preprocessing | None,
        typer.Option(
            help="How training scaled pixels. unit: to 0…1; tf: to -1…1; imagenet-…: as "
            "Keras' preprocess_input; per-image: standardised; none: not at all, or in the model.",
            rich_help_panel=PANEL_ASKED,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Instead of it: (pixel * scale - mean) / std, such as 1/255.",
            rich_help_panel=PANEL_ASKED,
        ),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="One number, or r,g,b.", rich_help_panel=PANEL_ASKED)
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="One number, or r,g,b.", rich_help_panel=PANEL_ASKED)
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option(help="The order of the colour channels.", rich_help_panel=PANEL_ASKED),
    ] = None,
    resize: Annotated[
        Resize | None,
        typer.Option(
            help="The filter with which training resized images: Pillow's, tf-… of "
            "tf.image.resize, cv2-… of cv2.resize.",
            rich_help_panel=PANEL_ASKED,
        ),
    ] = None,
    fit: Annotated[
        Fit | None,
        typer.Option(
            help="What to do with images of another shape. Default: stretch.",
            rich_help_panel=PANEL_ASKED,
        ),
    ] = None,
    resize_to: Annotated[
        int | None,
        typer.Option(
            help="Resize to this side first (--fit crop: the shortest), then cut out the middle.",
            rich_help_panel=PANEL_ASKED,
        ),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            help="The colour of --fit pad: one number, or r,g,b.", rich_help_panel=PANEL_ASKED
        ),
    ] = None,
    invert: Annotated[
        bool,
        typer.Option(
            "--invert", help="Invert: 255 - pixel, once it is resized.", rich_help_panel=PANEL_ASKED
        ),
    ] = False,
    signature: Annotated[
        str | None, typer.Option(help="The SavedModel's signature.", rich_help_panel=PANEL_MODEL)
    ] = None,
    tensor: Annotated[
        str | None,
        typer.Option("--input", help="The signature's input.", rich_help_panel=PANEL_MODEL),
    ] = None,
    output_tensor: Annotated[
        str | None,
        typer.Option("--output", help="The signature's output.", rich_help_panel=PANEL_MODEL),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS.", rich_help_panel=PANEL_MODEL),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(
            help="The input's layout, if its shape is unknown.", rich_help_panel=PANEL_MODEL
        ),
    ] = None,
    activation: Annotated[
        Activation | None, typer.Option(help="The scores' activation.", rich_help_panel=PANEL_MODEL)
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(
            help="An image for the artifact, which the endpoint must classify as the model does.",
            rich_help_panel=PANEL_PROOF,
        ),
    ] = None,
    golden_label: Annotated[
        str | None,
        typer.Option(help="The label that the image must get.", rich_help_panel=PANEL_PROOF),
    ] = None,
    lite: Annotated[
        bool,
        typer.Option(
            "--lite/--no-lite", help="Add the model for LiteRT, too.", rich_help_panel=PANEL_LITE
        ),
    ] = True,
    lite_only: Annotated[
        bool,
        typer.Option(
            "--lite-only",
            help="Leave the SavedModel out: smaller, but AWS's TensorFlow image cannot serve it.",
            rich_help_panel=PANEL_LITE,
        ),
    ] = False,
    quantize: Annotated[
        Kind | None,
        typer.Option(
            help="Make the LiteRT model smaller. float16: half the size, as fast. int8: a quarter, "
            "faster. dynamic: a quarter, but slower or no faster on MobileNet.",
            rich_help_panel=PANEL_LITE,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Labelled images for --quantize, a folder or .zip: DIR/<label>/<image>, or a data "
            "set with test/<label>/<image>. Use images that the model was not trained on.",
            rich_help_panel=PANEL_LITE,
        ),
    ] = None,
    max_accuracy_loss: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="What --quantize may cost; 0.01 is one point. Default: 0 for float16, else 0.01.",
            rich_help_panel=PANEL_LITE,
        ),
    ] = None,
    reexport: Annotated[
        bool,
        typer.Option(
            "--reexport",
            help="Export a SavedModel of float32 again, to take raw bytes: smaller requests.",
            rich_help_panel=PANEL_MODEL,
        ),
    ] = False,
    more_ops: Annotated[
        str,
        typer.Option(
            help="Operators that the stack's MoreOps allows, separated by commas.",
            rich_help_panel=PANEL_PROOF,
            show_default=False,
        ),
    ] = "",
    backbone: arguments.Backbone = None,
    weights: arguments.Weights = None,
    alpha: arguments.Alpha = None,
    features: arguments.Features = False,
    model: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    description: Annotated[
        str, typer.Option(help="A description for people.", show_default=False)
    ] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make an artifact, model.tar.gz, of a model that was trained elsewhere.

    Facet reads what it can from the model, and asks on a terminal for whatever it cannot read.

    Without a terminal, or with --yes, the error names all missing options.
    """
    output = Output(as_json)
    _check(model, golden, golden_label, out)
    if lite_only and not lite:
        raise CannotPack("--lite-only and --no-lite leave nothing; give one of them")
    input_options = InputOptions(
        size, layout, preprocessing, scale, mean, std, order, resize, fit, resize_to, fill, invert
    )
    names = Names(signature, tensor, output_tensor)
    arguments.check(
        source,
        backbone,
        features=features,
        of_network={"weights": weights, "alpha": alpha},
        of_classifiers={
            "labels": labels,
            "activation": activation,
            "golden_label": golden_label,
            "quantize": quantize,
        },
        of_files=asdict(replace(input_options, size=None))
        | asdict(names)
        | {"reexport": reexport, "features": features},
    )
    quantise = QuantiseOptions.of(quantize, images, max_accuracy_loss, lite=lite)
    ask = prompter(output.remarks, silent=yes or as_json)
    found = find(source) if source else None
    if isinstance(found, SavedModelFolder):
        artifact.check_variables(found.folder)
    if isinstance(found, LiteFile) and quantise:
        raise CannotPack(
            f"--quantize {quantize}: {source} is a LiteRT model already. Quantise the SavedModel "
            "or Keras file that it was converted from, or pack it as it is"
        )
    settings = ArtifactOptions(
        labels,
        activation,
        golden,
        golden_label,
        model,
        description,
        found.name if found else str(backbone),
        lite,
        lite_only,
        quantise,
        reexport,
        frozenset(filter(None, more_ops.split(","))),
    )
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch)
        if backbone:
            asked = application.ApplicationOptions(backbone, weights, alpha, size)
            built = build_backbone(*application.plan(asked), settings, room, output.remark)
        else:
            assert found is not None
            try:
                planned = plan(found, input_options, ask, names)
            except MissingOption as error:
                raise error.also(needed("none" if features else labels, input_options)) from None
            if features:
                ask.finish()
                built = build_backbone(planned, {}, settings, room, output.remark)
            else:
                built = build(planned, settings, ask, room, output.remark)
        packed = artifact.write(
            built.manifest, built.files, out, built.violations, settings.more_ops
        )
    for each in built.remarks:
        output.remark(each)
    if packed.violations:
        print_rejection(output, packed)
    print_result(output, built, packed, out)


def _check(model: str | None, golden: Path | None, golden_label: str | None, out: Path) -> None:
    if model is not None and not MODEL_NAME.fullmatch(model):
        raise CannotPack(f"--model {model}: use a-z, 0-9 and '-', at most 63 characters")
    if golden_label is not None and golden is None:
        raise CannotPack("--golden-label needs --golden IMAGE")
    if not out.resolve().parent.is_dir():
        raise CannotPack(f"--out {out}: there is no folder {out.parent}")
