"""`facet push`: check an artifact, upload it, and wait for onboarding's result.

The checks are onboarding's own, with the stack's parameters, so most rejections are reported before
anything is uploaded.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from cli.client.stack import Stack, find
from cli.client.upload import upload as upload_file
from cli.terminal import completion
from cli.terminal.formatting import reasons
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName, Timeout
from cli.terminal.output import Output
from cli.terminal.progress import spinner
from cli.terminal.prompts import Missing, MissingOption
from cli.watch import TIMEOUT, WatchTarget, print_version, watch_and_print
from facet.artifact import archive, validation
from facet.errors import BadRequest, FacetError, Violation
from facet.keys import ARTIFACT_SUFFIX, MODEL_NAME, MODEL_NAME_RULE, version_id, version_key
from facet.manifest import AnyManifest
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard.bucket import missing
from onboard.uploads import Upload

DEFAULT_NAME = "model"
"""`model.tar.gz` is every artifact's default file name, so it names no model."""

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file."""


class NoArtifact(FacetError):
    """The path is not an artifact's file."""


@dataclass(frozen=True)
class CheckedArtifact:
    """An artifact after onboarding's checks: `version` is the id it would get, `size` its bytes."""

    version: str
    size: int
    manifest: AnyManifest | None
    violations: Sequence[Violation]


def check(path: Path, rules: validation.Rules) -> CheckedArtifact:
    """Read the artifact once and validate it as onboarding will. Raises OSError."""
    with path.open("rb") as file:
        contents = archive.read(file)
    manifest, violations = validation.run(contents, rules)
    return CheckedArtifact(
        version_id(contents.sha256), contents.size, manifest, validation.reported(violations)
    )


def model_name(option: str | None, manifest: AnyManifest | None, path: Path) -> str:
    """Choose the model's name: the option's, else the manifest's, else the file's.

    Raises BadRequest, and MissingOption if none of them names a model.
    """
    file_name = path.name.removesuffix(ARTIFACT_SUFFIX)
    candidate = option or (manifest and manifest.model) or file_name
    if MODEL_NAME.fullmatch(candidate) and (option or candidate != DEFAULT_NAME):
        return candidate
    if option:
        raise BadRequest(f"--model {option}: use a-z, 0-9 and '-', at most 63 characters")
    why = "" if file_name == DEFAULT_NAME else f" '{file_name}' cannot be one: {MODEL_NAME_RULE}."
    raise MissingOption(
        Missing("--model NAME", f"Neither the manifest nor {path.name} names the model.{why}")
    )


def push(
    artifact: Annotated[
        Path,
        typer.Argument(
            metavar="ARTIFACT", help="The artifact, a model.tar.gz.", show_default=False
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="The model's name. Default: the manifest's, else the file's.",
            autocompletion=completion.models,
        ),
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Skip the local checks.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for onboarding.")] = False,
    timeout: Timeout = TIMEOUT,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Check an artifact, upload it, and wait until it is READY or REJECTED."""
    output = Output(as_json)
    _require_artifact(artifact)
    here = find(stack, home)
    with spinner(output, "checking …"):
        checked = check(artifact, _rules(here))
    upload = Upload(model_name(model, checked.manifest, artifact))
    if checked.violations and not no_check:
        _print_rejection(output, upload, checked)
    if no_wait:
        upload_file(here, output, artifact, upload.key)
        _print_upload(output, upload, checked)
        return
    registry = Registry(here.registry())
    before = registry.find(upload.model, checked.version)
    if before and before.status is Status.READY and not _is_lost(here, before):
        print_version(output, registry.model(upload.model), before, unchanged=True)
        return
    upload_file(here, output, artifact, upload.key)
    watch_and_print(
        here, output, WatchTarget(upload.model, checked.version, before, uploaded=True), timeout
    )


def _is_lost(stack: Stack, version: Version) -> bool:
    """Whether S3 says that it has no such artifact: the local stack removes damaged ones.

    Only who may list the bucket gets to know; then an upload publishes the artifact again.
    """
    key = version_key(version.model, version.id)
    try:
        stack.client("s3").head_object(Bucket=stack.bucket, Key=key)
    except ClientError as error:
        return missing(error)
    return False


def _require_artifact(path: Path) -> None:
    """Raises NoArtifact for what has neither an artifact's name nor its first bytes, and OSError.

    A file that only has the name is checked as any artifact.
    """
    if path.is_dir():
        raise NoArtifact(f"{path} is a folder; make an artifact of it with `facet pack {path}`")
    with path.open("rb") as file:
        if not path.name.endswith(ARTIFACT_SUFFIX) and file.read(len(GZIP)) != GZIP:
            raise NoArtifact(
                f"{path} is no artifact, which is a gzipped tar archive (model.tar.gz); "
                "`facet pack MODEL` makes one of a model"
            )


def _rules(stack: Stack) -> validation.Rules:
    ops = frozenset(op for op in stack.more_ops.split(",") if op)
    return validation.Rules(stack.golden_required, ops)


def _print_rejection(output: Output, upload: Upload, checked: CheckedArtifact) -> None:
    output.result(
        {
            "model": upload.model,
            "version": checked.version,
            "status": Status.REJECTED,
            "uploaded": False,
            "violations": [asdict(each) for each in checked.violations],
        },
        [
            "not uploaded, onboarding would reject it:",
            *(f"  {line}" for line in reasons(checked.violations)),
        ],
    )
    raise typer.Exit(1)


def _print_upload(output: Output, upload: Upload, checked: CheckedArtifact) -> None:
    output.result(
        {"model": upload.model, "version": checked.version, "uploaded": True},
        [
            f"{upload.model} {checked.version}: uploaded; "
            f"`facet watch {upload.model} {checked.version}` waits for the result"
        ],
    )
