"""`facet watch`: what becomes of an upload, until it is settled."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError

from cli.client.stack import Stack, find
from cli.terminal.formatting import reasons
from cli.terminal.options import THIS_HOME, AsJson, Home, ModelName, StackName
from cli.terminal.output import Output
from cli.terminal.progress import spinner
from facet.errors import FacetError, UnknownModel, UnknownVersion
from facet.keys import MODEL_NAME
from facet.registry.models import Model, Status, Version
from facet.registry.store import Registry
from onboard.bucket import missing
from onboard.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WITHIN = 900.0
"""Seconds; onboarding has as many for one attempt (template.yaml)."""

SOON, SELDOM = 1.0, 5.0
"""Seconds between two looks, at first and later on."""


class StillUnderWay(FacetError):
    """Time ran out before the upload was settled."""


class Lost(FacetError):
    """The upload left the door without an outcome of its own: somebody removed it."""


@dataclass(frozen=True)
class Sight:
    """`version` as the registry has it. `at_door`: an upload of the model's is not yet settled."""

    version: Version | None
    at_door: bool


@dataclass(frozen=True)
class Wanted:
    """What is waited for: a version, or without one whatever the model's newest upload becomes.

    `before` is the version's record from before its upload, which says nothing of that.
    """

    model: str
    version: str | None = None
    before: Version | None = None
    uploaded: bool = False

    def settled(self, seen: Sight) -> Version | None:
        """The version, once nothing more will become of it.

        Raises Lost, UnknownModel, UnknownVersion where there is nothing to wait for.
        """
        found = seen.version
        stale = found is not None and self.before is not None and self._is_before(found)
        if found and not stale and found.status is not Status.PENDING:
            return None if self.version is None and seen.at_door else found
        if seen.at_door or (found and not stale):
            return None
        if self.uploaded:
            raise Lost(f"the upload to {Upload(self.model).key} was removed; upload it again")
        if self.version:
            raise UnknownVersion(self.model, self.version)
        raise UnknownModel(self.model)

    def _is_before(self, found: Version) -> bool:
        return self.before is not None and found.updated_at == self.before.updated_at


@dataclass(frozen=True)
class Lookout:
    """Where it is seen what became of uploads."""

    s3: "S3Client"
    bucket: str
    registry: Registry

    def look(self, wanted: Wanted) -> Sight:
        """The door first: an upload leaves it after its outcome was recorded."""
        at_door = self._at_door(wanted.model)
        if wanted.version:
            return Sight(self.registry.find(wanted.model, wanted.version), at_door)
        versions = self.registry.versions(wanted.model)
        return Sight(versions[0] if versions else None, at_door)

    def _at_door(self, model: str) -> bool:
        try:
            self.s3.head_object(Bucket=self.bucket, Key=Upload(model).key)
        except ClientError as error:
            if missing(error):
                return False
            raise
        return True


def follow(
    look: Callable[[], Sight],
    wanted: Wanted,
    within: float,
    *,
    told: Callable[[str], object],
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Version:
    """The version when it is settled; `told` hears how it stands, each time that changes.

    Raises StillUnderWay after `within` seconds, and what `Wanted.settled` raises.
    """
    until = clock() + within
    last = ""
    for seconds in _pauses():
        seen = look()
        if settled := wanted.settled(seen):
            return settled
        now = _state(seen)
        if now != last:
            told(now)
            last = now
        if clock() + seconds > until:
            raise StillUnderWay(
                f"after {within:.0f} s this is how it stands: {now}. `facet status` says whether "
                f"it was given up, `facet watch {wanted.model}` goes on watching"
            )
        pause(seconds)
    raise AssertionError("pauses never end")


def watch(
    model: ModelName,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="An id; else the newest upload.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after which it gives up, with exit code 1.")
    ] = WITHIN,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Follow an upload until it is READY or REJECTED. Exit code 0 only if it is READY."""
    if not MODEL_NAME.fullmatch(model):
        raise UnknownModel(model)
    report(find(stack, home), Output(as_json), Wanted(model, version), timeout)


def report(stack: Stack, output: Output, wanted: Wanted, within: float) -> None:
    """Follows, tells the outcome, and exits with 1 unless it is READY."""
    registry = Registry(stack.registry())
    lookout = Lookout(stack.client("s3"), stack.bucket, registry)
    with spinner(output, f"{wanted.model} …") as show:

        def told(state: str) -> None:
            show(f"{wanted.model}: {state}")
            if not output.as_json and not output.remarks.is_terminal:
                output.remark(f"{wanted.model}: {state}")

        found = follow(lambda: lookout.look(wanted), wanted, within, told=told)
    tell(output, registry.model(wanted.model), found)
    if found.status is not Status.READY:
        raise typer.Exit(1)


def tell(output: Output, model: Model, version: Version, *, unchanged: bool = False) -> None:
    """What a version is, and whether it answers."""
    word = "UNCHANGED, is READY already" if unchanged else version.status.value
    document = {
        "model": model.name,
        "version": version.id,
        "status": version.status,
        "unchanged": unchanged,
        "proof": version.proof,
        "live": model.live == version.id,
        "violations": [asdict(each) for each in version.violations],
    }
    output.result(
        document,
        [
            f"{model.name} {version.id}: {word}{_standing(model, version)}",
            *(f"  {line}" for line in reasons(version.violations)),
        ],
    )


def _standing(model: Model, version: Version) -> str:
    if version.status is not Status.READY:
        return ""
    proof = f" (proof: {version.proof})"
    if model.live == version.id:
        return f"{proof}, and live"
    if model.canary and model.canary.candidate == version.id:
        return f"{proof}, a canary gets {model.canary.percent} % of the requests"
    return f"{proof}, not live: facet promote {model.name} {version.id}"


def _state(seen: Sight) -> str:
    if seen.version and seen.version.status is Status.PENDING:
        return f"{seen.version.id} is being proven on the endpoint"
    return "the upload is being checked"


def _pauses() -> Iterator[float]:
    seconds = SOON
    while True:
        yield seconds
        seconds = min(seconds * 1.2, SELDOM)
