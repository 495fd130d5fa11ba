"""`facet watch`: follow an upload until onboarding accepts, rejects or postpones it.

An upload's object stays in the bucket until its result is in the registry, so both are read: the
object says that work remains, the registry's version says what came of it. `facet push` follows its
upload the same way.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import ClientError

from cli.client.stack import Stack, find
from cli.places import WORDS, proven, waits
from cli.terminal import completion
from cli.terminal.formatting import moment, printable, reasons
from cli.terminal.options import THIS_HOME, AsJson, Home, ModelName, StackName, Timeout
from cli.terminal.output import Output
from cli.terminal.progress import spinner
from facet.errors import FacetError, UnknownModel, UnknownVersion
from facet.keys import misnamed_keys, upload_key
from facet.registry.models import Model, Status, Version, is_model
from facet.registry.store import Registry
from onboard.bucket import missing
from onboard.uploads import ANY_ARCHIVE, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TIMEOUT = 900.0
"""Seconds: the onboard function's timeout for one attempt (template.yaml)."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Seconds between two reads, at first and later on."""


class WatchTimeout(FacetError):
    """Time ran out before the upload was READY or REJECTED."""


class UploadRemoved(FacetError):
    """The upload's object was deleted before onboarding recorded a result."""


@dataclass(frozen=True)
class UploadState:
    """The registry's `version`, and whether an upload of the model is still in the bucket.

    `object_version` is S3's version of that upload.
    """

    version: Version | None
    upload_pending: bool
    object_version: str | None = None


@dataclass(frozen=True)
class WatchTarget:
    """A version to wait for, or without one the model's newest upload.

    `before` is the version's record from before this upload, to be ignored. `uploaded`: this
    command made the upload, so a missing version means that the upload was removed.
    """

    model: str
    version: str | None = None
    before: Version | None = None
    uploaded: bool = False

    def settled(self, state: UploadState) -> Version | None:
        """Return the version if it is READY, REJECTED, RETIRED, or if its upload waits for the
        endpoint; None if it may still change.

        Raises UploadRemoved, UnknownModel, UnknownVersion if there is nothing to wait for.
        """
        version = None if self._is_stale(state.version) else state.version
        if version and version.status is not Status.PENDING:
            # A lost artifact's version is RETIRED until this upload of the same bytes is READY.
            may_change = self.version is None or version.status is Status.RETIRED
            return None if may_change and state.upload_pending else version
        if version and version.postponed_at and state.upload_pending:
            return version if version.object_version == state.object_version else None
        if state.upload_pending or version:
            return None
        if self.uploaded:
            key = Upload(self.model).key
            raise UploadRemoved(
                f"the upload to {key} was removed before its check; upload it again"
            )
        if self.version:
            raise UnknownVersion(self.model, self.version)
        raise UnknownModel(self.model)

    def _is_stale(self, version: Version | None) -> bool:
        if version is None or self.before is None:
            return False
        return version.updated_at == self.before.updated_at


@dataclass(frozen=True)
class UploadWatcher:
    """Reads the state of uploads from the bucket and the registry."""

    s3: "S3Client"
    bucket: str
    registry: Registry

    def read(self, target: WatchTarget) -> UploadState:
        """Read the bucket first: the upload is deleted after its result was recorded."""
        upload = self._upload(target.model)
        pending, object_version = upload is not None, (upload or {}).get("VersionId")
        if target.version:
            version = self.registry.find(target.model, target.version)
            return UploadState(version, pending, object_version)
        versions = self.registry.versions(target.model)
        newest = max(versions, key=lambda each: each.last_upload, default=None)
        return UploadState(newest, pending, object_version)

    def _upload(self, model: str) -> Mapping[str, Any] | None:
        """S3's description of an upload of the model that is still there."""
        keys = [upload_key(model)] if is_model(model) else misnamed_keys(model)
        return next((found for found in map(self._head, keys) if found), None)

    def _head(self, key: str) -> Mapping[str, Any] | None:
        try:
            return self.s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if missing(error):
                return None
            raise

    def misnamed(self, model: str) -> Version | None:
        """Return the latest upload that was meant for the model, rejected for its name."""
        found = [each for each in self.registry.misnamed() if _stem(each.model) == model]
        return max(found, key=lambda each: each.last_upload, default=None)


def _stem(name: str) -> str:
    """A misnamed upload's name without a suffix of archives: `cats` for `cats.TGZ`."""
    return ANY_ARCHIVE.sub("", name)


def wait_until_settled(
    read: Callable[[], UploadState],
    target: WatchTarget,
    timeout: float,
    *,
    on_change: Callable[[str], object],
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Version:
    """Wait for the version's result, and call `on_change` with each new description of its state.

    Raises WatchTimeout after `timeout` seconds, and what `WatchTarget.settled` raises.
    """
    deadline = clock() + timeout
    description = ""
    for seconds in _pauses():
        state = read()
        if settled := target.settled(state):
            return settled
        if (new := _description(state)) != description:
            description = new
            on_change(description)
        if clock() + seconds > deadline:
            raise WatchTimeout(
                f"no result after {timeout:.0f} s: {description}. `facet watch {target.model}` "
                "continues to wait; `facet status` shows whether onboarding gave up"
            )
        sleep(seconds)
    raise AssertionError("pauses never end")


def watch(
    model: ModelName,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="VERSION",
            help="A version's id. Default: the newest upload.",
            autocompletion=completion.versions,
        ),
    ] = None,
    timeout: Timeout = TIMEOUT,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Wait until an upload is READY, REJECTED, or waits for an endpoint that is away.

    The exit code is 0 only for READY.
    """
    watch_and_print(find(stack, home), Output(as_json), WatchTarget(model, version), timeout)


def watch_and_print(stack: Stack, output: Output, target: WatchTarget, timeout: float) -> None:
    """Wait for the result, print it, and exit with 1 unless it is READY."""
    registry = Registry(stack.registry())
    version = wait_for(stack, output, target, timeout)
    model = registry.model(version.model) if is_model(version.model) else Model(version.model)
    print_version(output, model, version)
    if version.status is not Status.READY:
        raise typer.Exit(1)


def wait_for(stack: Stack, output: Output, target: WatchTarget, timeout: float) -> Version:
    """Wait for the result, and show what happens. Raises what `wait_until_settled` raises."""
    watcher = UploadWatcher(stack.client("s3"), stack.bucket, Registry(stack.registry()))
    with spinner(output, f"{printable(target.model)} …") as show:

        def on_change(state: str) -> None:
            show(f"{target.model}: {state}")
            if not output.as_json and not output.remarks.is_terminal:
                output.remark(f"{target.model}: {state}")

        try:
            return wait_until_settled(
                lambda: watcher.read(target), target, timeout, on_change=on_change
            )
        except UnknownModel:
            if (misnamed := watcher.misnamed(target.model)) is None:
                raise
            return misnamed


def print_version(
    output: Output, model: Model, version: Version, *, unchanged: bool = False
) -> None:
    """Print a version's status, whether it is live, and its violations."""
    output.result(
        version_document(model, version) | {"unchanged": unchanged},
        version_lines(model, version, unchanged=unchanged),
    )


def version_document(model: Model, version: Version) -> dict[str, object]:
    """Describe a version's result for programs."""
    return {
        "model": model.name,
        "version": version.id,
        "status": version.status,
        "unchanged": False,
        "postponed_at": version.postponed_at,
        "proof": version.proof,
        "proven_in": version.proven_in,
        "not_proven": {
            place: [asdict(each) for each in found] for place, found in version.not_proven.items()
        },
        "live": model.live == version.id,
        "violations": [asdict(each) for each in version.violations],
    }


def version_lines(model: Model, version: Version, *, unchanged: bool = False) -> Iterator[str]:
    """Describe a version's result for people."""
    status = "UNCHANGED, already READY" if unchanged else version.status.value
    if version.postponed_at:
        status += f", waits for the endpoint since {moment(version.postponed_at)} UTC"
    yield f"{printable(model.name)} {version.id}: {status}{_release_state(model, version)}"
    yield from (f"  {line}" for line in reasons(version.violations))
    yield from _elsewhere(version)


def _release_state(model: Model, version: Version) -> str:
    if version.status is not Status.READY:
        return ""
    where = f" {proven([*version.proven_in])}" if version.proven_in else ""
    proof = f" (proof: {version.proof}{where})"
    if model.live == version.id:
        return f"{proof}, and live"
    if model.canary and model.canary.candidate == version.id:
        return f"{proof}, a canary gets {model.canary.percent} % of the requests"
    return f"{proof}, not live: facet promote {model.name} {version.id}"


def _elsewhere(version: Version) -> Iterator[str]:
    if version.postponed_at:
        yield from waits(version.model, version.id, version.not_proven, version.litert_size)
    for place, found in version.not_proven.items() if version.status is Status.READY else ():
        why = "; ".join(f"{each.problem} [{each.code}]" for each in found)
        yield printable(f"  not {WORDS[place]}: {why}")


def _description(state: UploadState) -> str:
    if state.version and state.version.status is Status.PENDING:
        return f"{state.version.id} is being proven where it runs"
    return "the upload is being checked"


def _pauses() -> Iterator[float]:
    seconds = FIRST_PAUSE
    while True:
        yield seconds
        seconds = min(seconds * 1.2, LONGEST_PAUSE)
