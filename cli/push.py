"""`facet push`: an artifact goes to the door, and is watched until it is settled."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.client.stack import Stack, find
from cli.client.upload import upload as send
from cli.terminal import completion
from cli.terminal.formatting import reasons
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName
from cli.terminal.output import Output
from cli.terminal.progress import spinner
from cli.terminal.prompts import MissingOption
from cli.watch import WITHIN, Wanted, report, tell
from facet.artifact import archive, validation
from facet.errors import BadRequest, FacetError, Violation
from facet.keys import ARTIFACT_SUFFIX, MODEL_NAME, version_id
from facet.manifest import Manifest
from facet.registry.models import Status
from facet.registry.store import Registry
from onboard.uploads import Upload

NAMELESS = "model"
"""What every artifact's file is called; it names no model."""


class NoArtifact(FacetError):
    """The file cannot be uploaded as an artifact; the message says why."""


@dataclass(frozen=True)
class Checked:
    """An artifact after onboarding's checks, `version` being what it would become."""

    version: str
    size: int
    manifest: Manifest | None
    violations: Sequence[Violation]


def check(path: Path, rules: validation.Rules) -> Checked:
    """Reads the artifact once and judges it as onboarding will. Raises OSError, NoArtifact."""
    if path.is_dir():
        raise NoArtifact(f"{path} is a folder; facet pack makes an artifact of it")
    with path.open("rb") as file:
        found = archive.read(file)
    manifest, violations = validation.run(found, rules)
    return Checked(version_id(found.sha256), found.size, manifest, validation.reported(violations))


def name(given: str | None, manifest: Manifest | None, path: Path) -> str:
    """The model that an artifact is for: as given, else by its manifest, else by its file.

    Raises BadRequest, and MissingOption where none of them names one.
    """
    by_file = path.name.removesuffix(ARTIFACT_SUFFIX)
    candidate = given or (manifest and manifest.model) or by_file
    if MODEL_NAME.fullmatch(candidate) and (given or candidate != NAMELESS):
        return candidate
    if given:
        raise BadRequest(f"--model {given}: a name has a-z, 0-9 and '-', at most 63 of them")
    raise MissingOption("--model NAME", f"Neither its manifest nor {path.name} names the model.")


def push(
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="A model.tar.gz.", show_default=False)
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="The model's name; else its manifest's, else the file's name.",
            autocompletion=completion.models,
        ),
    ] = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Upload it whatever onboarding will say.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not watch what becomes of it.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after which watching ends, with exit code 1.")
    ] = WITHIN,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Check an artifact, upload it, and follow it until it is READY or REJECTED."""
    output = Output(as_json)
    here = find(stack, home)
    with spinner(output, "checking …"):
        checked = check(artifact, _rules(here))
    upload = Upload(name(model, checked.manifest, artifact))
    if checked.violations and not no_check:
        _refused(output, upload, checked)
    if no_wait:
        send(here, output, artifact, upload.key)
        _uploaded(output, upload, checked)
        return
    registry = Registry(here.registry())
    before = registry.find(upload.model, checked.version)
    if before and before.status is Status.READY:
        tell(output, registry.model(upload.model), before, unchanged=True)
        return
    send(here, output, artifact, upload.key)
    report(here, output, Wanted(upload.model, checked.version, before, uploaded=True), timeout)


def _rules(stack: Stack) -> validation.Rules:
    ops = frozenset(each for each in stack.more_ops.split(",") if each)
    return validation.Rules(stack.golden_required, ops)


def _refused(output: Output, upload: Upload, checked: Checked) -> None:
    output.result(
        {
            "model": upload.model,
            "version": checked.version,
            "status": Status.REJECTED,
            "uploaded": False,
            "violations": [asdict(each) for each in checked.violations],
        },
        [
            "onboarding would refuse it, nothing was uploaded:",
            *(f"  {line}" for line in reasons(checked.violations)),
        ],
    )
    raise typer.Exit(1)


def _uploaded(output: Output, upload: Upload, checked: Checked) -> None:
    output.result(
        {"model": upload.model, "version": checked.version, "uploaded": True},
        [
            f"{upload.model} {checked.version}: uploaded; "
            f"facet watch {upload.model} {checked.version} tells what becomes of it"
        ],
    )
