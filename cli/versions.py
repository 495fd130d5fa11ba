"""`facet promote`, `rollback`, `policy`, `retire`: which version of a model answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.stack import Stack, find
from cli.terminal.options import THIS_HOME, AsJson, Home, ModelName, StackName, Yes
from cli.terminal.output import Output
from cli.terminal.prompts import prompter
from facet.errors import BadRequest, FacetError, UnknownVersion
from facet.notifications import EventPublisher, EventType
from facet.registry.models import Mode, Model, Policy, Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry

COMMAND = "command"
"""Who changed a version, in events."""


class NotConfirmed(FacetError):
    """A person said no."""


def promote(
    model: ModelName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A READY version's id.")],
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Make a READY version answer predictions, at once. A canary under way ends."""
    here, output = find(stack, home), Output(as_json)
    before = Releases(here.registry()).promote(model, version, _now())
    if before.live != version:
        with _reported(output, EventType.PROMOTED):
            _publisher(here).promoted(model, version, by=COMMAND, previous=before.live)
    _say(output, model, version, before, f"{version} is live")


def rollback(
    model: ModelName,
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION", help="A READY version's id; else the one before."),
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """End a canary, or go back to the version that answered before, or to the one given."""
    here, output = find(stack, home), Output(as_json)
    releases = Releases(here.registry())
    now = _now()
    before = releases.promote(model, version, now) if version else releases.rollback(model, now)
    ended = before.canary if version is None else None
    live = before.live if ended else version or before.previous
    taken_back = ended.candidate if ended else before.live
    if taken_back and taken_back != live:
        with _reported(output, EventType.ROLLED_BACK):
            _publisher(here).rolled_back(model, taken_back, by=COMMAND, live=live)
    _say(output, model, live, before, f"{live} is live, {taken_back} was taken back")


def policy(
    model: ModelName,
    mode: Annotated[
        Mode | None,
        typer.Argument(
            metavar="auto|manual|canary",
            help="How new versions go live; without it: how they do now.",
        ),
    ] = None,
    percent: Annotated[
        int | None, typer.Option(min=1, max=100, help="canary: requests that the new one gets.")
    ] = None,
    good_answers: Annotated[
        int | None, typer.Option(min=1, help="canary: answers after which it goes live.")
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Show or set how proven versions go live: at once, when promoted, or after a canary."""
    if mode is not Mode.CANARY and (percent or good_answers):
        raise BadRequest("--percent and --good-answers belong to the policy canary: name it")
    table = find(stack, home).registry()
    known = Registry(table).model(model).policy
    wanted = known
    if mode:
        wanted = Policy(mode, percent or known.percent, good_answers or known.good_answers)
        Releases(table).set_policy(model, wanted, _now())
    Output(as_json).result(
        {"model": model, "policy": asdict(wanted)}, [f"{model}: {_in_words(wanted)}"]
    )


def retire(
    model: ModelName,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="A version's id; else all of them.")
    ] = None,
    yes: Yes = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Take a version out of service, or without VERSION the whole model. Objects go later."""
    here, output = find(stack, home), Output(as_json)
    table = here.registry()
    if version:
        retired = [_known(Registry(table), model, version)]
    else:
        _confirm(output, model, yes=yes)
        Releases(table).clear(model, _now())
        retired = [each for each in Registry(table).versions(model) if each.status is Status.READY]
    for each in retired:
        if each.status is not Status.RETIRED:
            Releases(table).retire(each, _now())
            with _reported(output, EventType.RETIRED):
                _publisher(here).retired(model, each.id, by=COMMAND)
    ids = [each.id for each in retired]
    output.result(
        {"model": model, "retired": ids},
        [f"{model}: retired {', '.join(ids) or 'nothing, no version was READY'}"],
    )


def _known(registry: Registry, model: str, version: str) -> Version:
    found = registry.find(model, version)
    if found is None or found.status not in (Status.READY, Status.RETIRED):
        registry.model(model)
        raise UnknownVersion(model, version)
    return found


def _confirm(output: Output, model: str, *, yes: bool) -> None:
    if yes:
        return
    ask = prompter(output.remarks, silent=output.as_json)
    question = f"No version of '{model}' will answer any more. Retire it?"
    if ask.ask("--yes", question, suggestion="no") != "yes":
        raise NotConfirmed(f"'{model}' stays as it was")


def _say(output: Output, model: str, live: str | None, before: Model, line: str) -> None:
    output.result({"model": model, "live": live, "previous": before.live}, [f"{model}: {line}"])


def _publisher(stack: Stack) -> EventPublisher:
    return EventPublisher(stack.client("events"), stack.client("sns"), stack.topic)


@contextmanager
def _reported(output: Output, event_type: EventType) -> Iterator[None]:
    """Reports an event that cannot be published; the registry has the change already."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        output.remark(f"done, but no event {event_type} could be sent: {error}")


def _in_words(policy: Policy) -> str:
    if policy.mode is Mode.AUTO:
        return "auto, a proven version answers at once"
    if policy.mode is Mode.MANUAL:
        return "manual, a proven version waits for `facet promote`"
    return (
        f"canary, {policy.percent} % of the requests go to a proven version "
        f"until it has given {policy.good_answers:,} good answers"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
