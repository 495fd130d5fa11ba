"""`facet models` and `facet show`: list models, show one with its versions."""

from collections.abc import Iterator

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from rich.table import Table
from rich.text import Text

from cli.client.api import connect, parse
from cli.client.stack import find
from cli.places import DEFAULT_PLACE, WORDS, asked, run_in_text, waits
from cli.terminal.formatting import measures, moment, printable, reasons, short, size
from cli.terminal.options import THIS_HOME, AsJson, Home, ModelName, StackName
from cli.terminal.output import Output, facts
from cli.terminal.tables import plain_table, print_table
from facet.errors import Violation
from facet.manifest import BackboneRef
from facet.registry.models import Canary, Place, Policy, RunIn, Status

LABELS_WIDTH = 72
"""Characters of the labels that are printed."""

UPDATED, UPLOADED = "updated (UTC)", "uploaded (UTC)"


class ModelSummary(BaseModel):
    """A model in the API's list."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(validation_alias=AliasChoices("name", "model"))
    live: str | None
    previous: str | None
    policy: Policy
    canary: Canary | None
    rolled_back: str | None
    updated_at: str
    kind: str = "classifier"
    run_in: RunIn | None = None


class ImageInput(BaseModel):
    """The part of a model's input that says how images are resized."""

    model_config = ConfigDict(frozen=True)

    height: int
    width: int
    channels: int
    resize: str
    fit: str


class VersionSummary(BaseModel):
    """A version in a model's details."""

    model_config = ConfigDict(frozen=True)

    version: str
    status: Status
    size: int
    uploaded_at: str
    proof: str | None
    postponed_at: str | None = None
    litert_size: int | None = None
    max_batch_size: int | None = None
    proven_in: dict[Place, str] = Field(default_factory=dict)
    not_proven: dict[Place, tuple[Violation, ...]] = Field(default_factory=dict)
    runs_in: tuple[Place, ...] = ()
    metrics: dict[str, float]
    violations: tuple[Violation, ...]


class ModelDetails(ModelSummary):
    """A model as the API describes it; labels and images are the live version's."""

    description: str | None
    labels: tuple[str, ...] | None
    features: int | None = None
    backbone: BackboneRef | None = None
    images: ImageInput | None = Field(validation_alias="input")
    versions: tuple[VersionSummary, ...]


def models(stack: StackName = None, home: Home = THIS_HOME, as_json: AsJson = False) -> None:
    """List all models with their live version and release policy."""
    output = Output(as_json)
    documents = list(connect(find(stack, home)).models())
    if not documents and not as_json:
        output.remark("there are no models yet; add one with `facet push ARTIFACT`")
    rows = [parse(ModelSummary, each) for each in documents]
    output.result({"models": documents}, [])
    if rows and not as_json:
        print_table(output, _table(rows))


def show(
    model: ModelName,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Show a model: its live version, all versions, and why uploads were rejected or wait."""
    output = Output(as_json)
    document = connect(find(stack, home)).model(model)
    details = parse(ModelDetails, document)
    output.result(document, facts(_facts(details)))
    if as_json:
        return
    if details.versions:
        output.results.print()
        print_table(output, _versions(details))
    for line in _rejections(details):
        output.results.print(line)


def _table(rows: list[ModelSummary]) -> Table:
    heads = ("model", "kind", "live", "policy", "run in", UPDATED)
    table = plain_table(*heads, whole=frozenset({UPDATED}))
    for each in rows:
        table.add_row(
            Text(each.name),
            each.kind,
            each.live or "none",
            _policy(each),
            each.run_in or DEFAULT_PLACE,
            moment(each.updated_at),
        )
    return table


def _policy(model: ModelSummary) -> Text:
    if model.canary:
        return Text(f"{model.policy.mode}, {model.canary.candidate} gets {model.canary.percent} %")
    return Text(short(model.policy))


def _facts(model: ModelDetails) -> dict[str, str]:
    rows = {
        "model": model.name,
        "kind": model.kind if model.kind != "classifier" else "",
        "about": printable(model.description or ""),
        "live": model.live or "none",
        "previous": model.previous or "",
        "rolled back": model.rolled_back or "",
        "policy": short(model.policy),
        "runs in": _runs_in(model),
        "canary": _canary(model.canary) if model.canary else "",
        "images": _images(model.images) if model.images else "",
        "labels": _labels(model.labels) if model.labels else "",
        "features": f"{model.features:,}" if model.features else "",
        "taught on": f"{model.backbone.model} {model.backbone.version}" if model.backbone else "",
    }
    return {name: value for name, value in rows.items() if value}


def _runs_in(model: ModelDetails) -> str:
    """Where the live version runs, when it was proven there, and the model's own choice."""
    live = next((each for each in model.versions if each.version == model.live), None)
    said = f"; --run-in {model.run_in}" if model.run_in else ""
    if live is None or not live.runs_in:
        return run_in_text(model.run_in).removeprefix("runs ") if model.run_in else ""
    when = moment(live.proven_in[live.runs_in[0]])
    return f"{asked(live.runs_in)} (proven there {when}{said})"


def _canary(canary: Canary) -> str:
    return (
        f"{canary.candidate} gets {canary.percent} % of the requests: "
        f"{canary.candidate_good:,} of {canary.good_answers:,} good answers, "
        f"{canary.candidate_bad:,} bad (live: {canary.live_good:,} good, {canary.live_bad:,} bad)"
    )


def _images(images: ImageInput) -> str:
    return f"{images.height}x{images.width}x{images.channels}, {images.resize}, {images.fit}"


def _labels(labels: tuple[str, ...]) -> str:
    text = printable(", ".join(labels))
    return f"{len(labels):,}: " + (
        text if len(text) <= LABELS_WIDTH else f"{text[: LABELS_WIDTH - 1]}…"
    )


def _versions(model: ModelDetails) -> Table:
    heads = ("version", "status", "place", "runs in", "proof", "size", UPLOADED, "metrics")
    table = plain_table(*heads, whole=frozenset({UPLOADED}))
    for each in model.versions:
        table.add_row(
            each.version,
            each.status.value,
            _place(model, each.version),
            asked(each.runs_in),
            _proof(each),
            size(each.size),
            moment(each.uploaded_at),
            Text(measures(each.metrics)),
        )
    return table


def _proof(version: VersionSummary) -> str:
    single = ", single images" if version.max_batch_size == 1 else ""
    return f"{version.proof}{single}" if version.proof else ""


def _place(model: ModelSummary, version: str) -> str:
    if version == model.live:
        return "live"
    if model.canary and version == model.canary.candidate:
        return "canary"
    return "previous" if version == model.previous else ""


def _rejections(model: ModelDetails) -> Iterator[Text]:
    for each in model.versions:
        if each.violations:
            yield Text()
            yield Text(f"why {each.version} was rejected", style="bold")
            yield from (Text(f"  {line}") for line in reasons(each.violations))
        if each.postponed_at:
            yield Text()
            yield Text(f"why {each.version} waits for the endpoint", style="bold")
            yield from map(Text, waits(model.name, each.version, each.not_proven, each.litert_size))
        for place, found in each.not_proven.items() if each.status is Status.READY else ():
            yield Text()
            yield Text(f"why {each.version} does not run {WORDS[place]}", style="bold")
            yield from (Text(f"  {line}") for line in reasons(found))
