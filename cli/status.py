"""`facet status`: a stack's addresses, health, models and queues on one screen.

Each entry is read on its own. If one cannot be read, its line says why and the rest is still shown.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.api import RetryBudget, connect
from cli.client.stack import Stack, find
from cli.page import page_url
from cli.terminal.formatting import printable
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName
from cli.terminal.output import Output, facts
from cli.terminal.progress import spinner
from facet.errors import FacetError
from facet.registry.models import Model, Status
from facet.registry.store import Registry
from onboard.uploads import PendingUploads

PAGE_SIZE = 100
RECENT = timedelta(days=7)
MAX_NAMES = 5
"""Names of rejected uploads that are printed."""

HEALTHY = "ok"
IN_SERVICE = "InService"


@dataclass
class Counts:
    """Numbers of models. `canary` counts live models that have a candidate, too."""

    live: int = 0
    canary: int = 0
    none_live: int = 0

    def add(self, model: Model) -> None:
        """Count one more model."""
        self.live += model.live is not None
        self.none_live += model.live is None
        self.canary += model.canary is not None


@dataclass
class StatusReport:
    """Entries by name: values for `--json`, text in `lines`, and names of failures in `failed`."""

    document: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def add(self, name: str, value: object, text: str, *, healthy: bool = True) -> None:
        """Add an entry."""
        self.document[name.replace(" ", "_")] = value
        self.lines[name] = text
        if not healthy:
            self.failed.append(name)

    def read(self, name: str, reader: Callable[[], tuple[object, str, bool]]) -> None:
        """Add what `reader` returns: value, text, whether it is healthy. Errors are failures."""
        try:
            value, text, healthy = reader()
        except (FacetError, BotoCoreError, ClientError) as error:
            value, text, healthy = None, f"unknown: {' '.join(str(error).split())}", False
        self.add(name, value, text, healthy=healthy)


def status(stack: StackName = None, home: Home = THIS_HOME, as_json: AsJson = False) -> None:
    """Show a stack's addresses, health and models. Exit code 1 if API or endpoint is down.

    With EndpointOn=false there is no endpoint to be down.
    """
    output = Output(as_json)
    here = find(stack, home)
    with spinner(output, "reading …"):
        report = collect(here)
    output.result({**report.document, "healthy": not report.failed}, facts(report.lines))
    if report.failed:
        raise typer.Exit(1)


def collect(stack: Stack) -> StatusReport:
    """Read every entry of a stack's status."""
    report = StatusReport()
    report.add("stack", stack.name, stack.name)
    report.add("url", stack.api_url, stack.api_url)
    page = page_url(stack, with_key=False) if stack.api_url else ""
    report.add("page", page, page)
    report.add("bucket", stack.bucket, stack.bucket)
    report.read("api", lambda: _api(stack))
    report.read("endpoint", lambda: _endpoint(stack))
    report.read("models", lambda: _models(Registry(stack.registry())))
    report.read("being checked", lambda: _pending_uploads(stack))
    report.read("being proven", lambda: _unproven(Registry(stack.registry())))
    report.read("misnamed", lambda: _misnamed(Registry(stack.registry()), datetime.now(UTC)))
    report.read("given up", lambda: _dead_letters(stack))
    return report


def _api(stack: Stack) -> tuple[object, str, bool]:
    status = connect(stack, RetryBudget(0)).health()
    return status, status, status == HEALTHY


def _endpoint(stack: Stack) -> tuple[object, str, bool]:
    if not stack.endpoint_on:
        return None, "none: EndpointOn=false", True
    endpoint = stack.client("sagemaker").describe_endpoint(EndpointName=stack.endpoint)
    state, reason = endpoint["EndpointStatus"], endpoint.get("FailureReason", "")
    text = f"{state}{f': {reason}' if reason else ''} ({stack.endpoint})"
    return state, text, state == IN_SERVICE


def _models(registry: Registry) -> tuple[object, str, bool]:
    counts = Counts()
    after: str | None = None
    while True:
        page, after = registry.models(PAGE_SIZE, after)
        for model in page:
            counts.add(model)
        if after is None:
            break
    canaries = f", {counts.canary:,} of them with a canary" if counts.canary else ""
    text = f"{counts.live:,} live{canaries}, {counts.none_live:,} without a live version"
    return asdict(counts), text, True


def _pending_uploads(stack: Stack) -> tuple[object, str, bool]:
    waiting = sum(1 for _ in PendingUploads(stack.client("s3"), stack.bucket).waiting())
    return waiting, f"{waiting:,} in the bucket", True


def _unproven(registry: Registry) -> tuple[object, str, bool]:
    pending = sum(1 for _ in registry.unsettled(Status.PENDING))
    return pending, f"{pending:,} where they run", True


def _misnamed(registry: Registry, now: datetime) -> tuple[object, str, bool]:
    names = {
        each.model
        for each in registry.misnamed()
        if now - datetime.fromisoformat(each.updated_at) <= RECENT
    }
    text = f"{len(names):,} uploads rejected for their name in {RECENT.days} days"
    if names:
        shown = ", ".join(printable(name) for name in sorted(names)[:MAX_NAMES])
        text += f": {shown}{', …' if len(names) > MAX_NAMES else ''}; `facet watch NAME` says why"
    return sorted(names), text, True


def _dead_letters(stack: Stack) -> tuple[object, str, bool]:
    name = "ApproximateNumberOfMessages"
    answer = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.dead_letter_queue_url, AttributeNames=[name]
    )
    count = int(answer["Attributes"][name])
    hint = "; `facet redrive` retries them" if count else ""
    return count, f"{count:,} in the dead-letter queue{hint}", True
