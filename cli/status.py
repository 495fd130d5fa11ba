"""`facet status`: where a stack is and how it stands, at a glance."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.api import Patience, reach
from cli.client.stack import Stack, find
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName
from cli.terminal.output import Output, facts
from cli.terminal.progress import spinner
from facet.errors import FacetError
from facet.registry.models import Model, Status
from facet.registry.store import Registry
from onboard.uploads import PendingUploads

PAGE = 100
HEALTHY = "ok"
IN_SERVICE = "InService"


@dataclass
class Counts:
    """Models by how they stand. `canary` are live ones with a candidate beside them."""

    live: int = 0
    canary: int = 0
    none_live: int = 0

    def add(self, model: Model) -> None:
        """Counts one more."""
        self.live += model.live is not None
        self.none_live += model.live is None
        self.canary += model.canary is not None


@dataclass
class Findings:
    """What was found, by name, for programs and for people; `wrong` names what is not as it should.

    Whatever cannot be found out is wrong as well, and does not hide the rest.
    """

    document: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def found(self, name: str, value: object, words: str, *, right: bool = True) -> None:
        """One finding."""
        self.document[name.replace(" ", "_")] = value
        self.lines[name] = words
        if not right:
            self.wrong.append(name)

    def probe(self, name: str, finding: Callable[[], tuple[object, str, bool]]) -> None:
        """A finding that may fail, of its value, words, and whether it is as it should be."""
        try:
            value, words, right = finding()
        except (FacetError, BotoCoreError, ClientError) as error:
            value, words, right = None, f"unknown: {' '.join(str(error).split())}", False
        self.found(name, value, words, right=right)


def status(stack: StackName = None, home: Home = THIS_HOME, as_json: AsJson = False) -> None:
    """Tell where the stack is and how it stands. Exit code 1 if the API or the endpoint is down."""
    output = Output(as_json)
    here = find(stack, home)
    with spinner(output, "asking …"):
        findings = examine(here)
    output.result({**findings.document, "healthy": not findings.wrong}, facts(findings.lines))
    if findings.wrong:
        raise typer.Exit(1)


def examine(stack: Stack) -> Findings:
    """Everything that is asked of a stack."""
    findings = Findings()
    findings.found("stack", stack.name, stack.name)
    findings.found("url", stack.api_url, stack.api_url)
    findings.found("bucket", stack.bucket, stack.bucket)
    findings.probe("api", lambda: _api(stack))
    findings.probe("endpoint", lambda: _endpoint(stack))
    findings.probe("models", lambda: _models(Registry(stack.registry())))
    findings.probe("being checked", lambda: _at_door(stack))
    findings.probe("being proven", lambda: _pending(Registry(stack.registry())))
    findings.probe("given up", lambda: _dead_letters(stack))
    return findings


def _api(stack: Stack) -> tuple[object, str, bool]:
    said = reach(stack, Patience(0)).health()
    return said, said, said == HEALTHY


def _endpoint(stack: Stack) -> tuple[object, str, bool]:
    found = stack.client("sagemaker").describe_endpoint(EndpointName=stack.endpoint)
    state, reason = found["EndpointStatus"], found.get("FailureReason", "")
    words = f"{state}{f': {reason}' if reason else ''} ({stack.endpoint})"
    return state, words, state == IN_SERVICE


def _models(registry: Registry) -> tuple[object, str, bool]:
    counts = Counts()
    after: str | None = None
    while True:
        page, after = registry.models(PAGE, after)
        for each in page:
            counts.add(each)
        if after is None:
            break
    canaries = f", {counts.canary:,} of them with a canary" if counts.canary else ""
    words = f"{counts.live:,} live{canaries}, {counts.none_live:,} without a live version"
    return asdict(counts), words, True


def _at_door(stack: Stack) -> tuple[object, str, bool]:
    waiting = sum(1 for _ in PendingUploads(stack.client("s3"), stack.bucket).waiting())
    return waiting, f"{waiting:,} at the door", True


def _pending(registry: Registry) -> tuple[object, str, bool]:
    pending = [each.target for each in registry.unsettled(Status.PENDING)]
    return len(pending), f"{len(pending):,} on the endpoint", True


def _dead_letters(stack: Stack) -> tuple[object, str, bool]:
    name = "ApproximateNumberOfMessages"
    answer = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.dead_letter_queue_url, AttributeNames=[name]
    )
    count = int(answer["Attributes"][name])
    hint = "; facet redrive tries again" if count else ""
    return count, f"{count:,} in the dead-letter queue{hint}", True
