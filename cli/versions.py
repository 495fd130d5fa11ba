"""`facet promote`, `rollback`, `policy`, `retire`: choose the version of a model that answers.

They write the registry, so they work without a running endpoint, and then publish an event.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.stack import Stack, find
from cli.places import DEFAULT_PLACE, RunInOption, elsewhere, run_in_text
from cli.terminal import completion
from cli.terminal.options import THIS_HOME, AsJson, Home, ModelName, StackName, Yes
from cli.terminal.output import Output
from cli.terminal.prompts import prompter
from facet.aws.notifications import EventPublisher, EventType
from facet.errors import BadRequest, FacetError, UnknownVersion
from facet.registry.models import Mode, Model, Policy, RunIn, Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry

COMMAND = "command"
"""Who changed a version, in events."""


class NotConfirmed(FacetError):
    """The confirmation was declined."""


def promote(
    model: ModelName,
    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION",
            help="The id of a READY version.",
            autocompletion=completion.versions,
        ),
    ],
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Make a READY version live at once. A running canary ends."""
    here, output = find(stack, home), Output(as_json)
    before = Releases(here.registry()).promote(model, version, _now())
    if before.live != version:
        with _reported(output, EventType.PROMOTED):
            _publisher(here).promoted(model, version, by=COMMAND, previous=before.live)
    _print_live(output, model, version, before, f"{version} is live")


def rollback(
    model: ModelName,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="VERSION",
            help="A READY version's id. Default: the previous.",
            autocompletion=completion.versions,
        ),
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """End a running canary, or make the previous or the given version live."""
    here, output = find(stack, home), Output(as_json)
    releases = Releases(here.registry())
    now = _now()
    before = releases.promote(model, version, now) if version else releases.rollback(model, now)
    ended = before.canary if version is None else None
    live = before.live if ended else version or before.previous
    rolled_back = ended.candidate if ended else before.live
    if rolled_back and rolled_back != live:
        with _reported(output, EventType.ROLLED_BACK):
            _publisher(here).rolled_back(model, rolled_back, by=COMMAND, live=live)
    _print_live(output, model, live, before, f"{live} is live, {rolled_back} was rolled back")


def policy(
    model: ModelName,
    mode: Annotated[
        Mode | None,
        typer.Argument(
            metavar="auto|manual|canary",
            help="How new versions go live. Default: show the current policy.",
        ),
    ] = None,
    percent: Annotated[
        int | None, typer.Option(min=1, max=100, help="canary: share of the requests, in percent.")
    ] = None,
    good_answers: Annotated[
        int | None, typer.Option(min=1, help="canary: good answers until it goes live.")
    ] = None,
    run_in: Annotated[
        RunInOption | None,
        typer.Option(
            help="Where its versions run. auto: small, quick LiteRT models in the function; "
            "default: where the stack says (RunIn).",
            show_default=False,
        ),
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Show or set how new versions of a model go live, and where its versions run.

    They go live at once, when promoted, or after a canary.
    """
    if mode is not Mode.CANARY and (percent or good_answers):
        raise BadRequest("--percent and --good-answers need the policy canary")
    table = find(stack, home).registry()
    registry = Registry(table)
    found = registry.model(model)
    new, place = found.policy, found.run_in
    if mode:
        new = Policy(mode, percent or new.percent, good_answers or new.good_answers)
        Releases(table).set_policy(model, new, _now())
    if run_in:
        place = None if run_in == DEFAULT_PLACE else RunIn(run_in)
        registry.set_run_in(model, place, _now())
    live = registry.find(model, found.live) if found.live else None
    Output(as_json).result(
        {
            "model": model,
            "policy": asdict(new),
            "run_in": place,
            "live": found.live,
            "proven_in": live.proven_in if live else {},
        },
        [
            f"{model}: {_policy_text(new)}",
            f"{model}: {run_in_text(place)}",
            *(elsewhere(live, place) if live and place else ()),
        ],
    )


def retire(
    model: ModelName,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="VERSION",
            help="A version's id. Default: all versions.",
            autocompletion=completion.versions,
        ),
    ] = None,
    yes: Yes = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Retire a version, or without VERSION the whole model. Objects are deleted later."""
    here, output = find(stack, home), Output(as_json)
    table = here.registry()
    if version:
        retired = [_retirable(Registry(table), model, version)]
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


def _retirable(registry: Registry, model: str, version: str) -> Version:
    found = registry.find(model, version)
    if found is None or found.status not in (Status.READY, Status.RETIRED):
        registry.model(model)
        raise UnknownVersion(model, version)
    return found


def _confirm(output: Output, model: str, *, yes: bool) -> None:
    if yes:
        return
    ask = prompter(output.remarks, silent=output.as_json)
    question = f"No version of '{model}' will answer any more. Retire the model?"
    if ask.ask("--yes", question, suggestion="no") != "yes":
        raise NotConfirmed(f"'{model}' was not changed")


def _print_live(output: Output, model: str, live: str | None, before: Model, line: str) -> None:
    output.result({"model": model, "live": live, "previous": before.live}, [f"{model}: {line}"])


def _publisher(stack: Stack) -> EventPublisher:
    return EventPublisher(stack.client("events"), stack.client("sns"), stack.topic)


@contextmanager
def _reported(output: Output, event_type: EventType) -> Iterator[None]:
    """Remark that an event could not be published; the registry is changed already."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        output.remark(f"done, but the event {event_type} could not be published: {error}")


def _policy_text(policy: Policy) -> str:
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
