"""`facet delete`: delete models for good, with their versions, objects and reports.

The delete function does the work; its permissions are more than those of the person who asks.
"""

import json
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer
from botocore.config import Config

from cli.client.stack import NoStack, Stack, find
from cli.terminal import completion
from cli.terminal.formatting import printable
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName, Yes
from cli.terminal.output import Output
from cli.terminal.progress import bar
from cli.terminal.prompts import prompter
from cli.versions import NotConfirmed
from facet.errors import FacetError, UnknownModel
from facet.heads.errors import BackboneInUse
from facet.registry.store import Registry
from onboard.removal.deletion import Deleted

PAGE_SIZE = 100
MAX_NAMES = 10
"""Names in the question."""

WAIT = Config(read_timeout=310, retries={"total_max_attempts": 1})
"""The delete function has 300 seconds."""


class DeletionFailed(FacetError):
    """The delete function failed; the message has its error."""


def delete(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL…",
            help="Names of models, or of uploads that were rejected for their name.",
            autocompletion=completion.models,
            show_default=False,
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option("--match", metavar="PATTERN", help="All names like this, such as 'walk-*'."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    yes: Yes = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Delete models for good, with all their versions, objects and reports.

    Images in data sets stay.
    """
    if not models and match is None:
        raise typer.BadParameter("name models, or give --match PATTERN", param_hint="MODEL…")
    here, output = find(stack, home), Output(as_json)
    names = dict.fromkeys(models or ())
    if match is not None:
        names |= dict.fromkeys(each for each in _known(here) if fnmatchcase(each, match))
    planned = [delete_model(here, name, dry_run=True) for name in names]
    planned.sort(key=lambda each: each.heads > 0)  # backbones after the heads among them
    if planned and not dry_run:
        _confirm(output, planned, yes=yes)
        with bar(output) as progress:
            task = progress.add_task("models", total=len(planned))
            for at, each in enumerate(planned):
                planned[at] = delete_model(here, each.model)
                progress.advance(task)
    output.result(
        {"models": [asdict(each) for each in planned], "dry_run": dry_run},
        [_line(each) for each in planned] or ["no model matches"],
    )
    if planned:
        output.remark("images in data sets stay; docs/README.md says how to delete them")


def _known(stack: Stack) -> list[str]:
    """The names of all models, and of uploads that were rejected for their name."""
    registry = Registry(stack.registry())
    names: list[str] = []
    after: str | None = None
    while True:
        page, after = registry.models(PAGE_SIZE, after)
        names += [each.name for each in page]
        if after is None:
            return names + sorted({each.model for each in registry.misnamed()})


def delete_model(stack: Stack, model: str, *, dry_run: bool = False) -> Deleted:
    """Invoke the delete function and wait. Raises NoStack, UnknownModel, DeletionFailed."""
    if not stack.delete_function:
        raise NoStack("the stack has no function that deletes models; deploy or start it again")
    answer = stack.client("lambda", WAIT).invoke(
        FunctionName=stack.delete_function,
        Payload=json.dumps({"model": model, "dry_run": dry_run}).encode(),
    )
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        if document.get("errorType") == UnknownModel.__name__:
            raise UnknownModel(model)
        if document.get("errorType") == BackboneInUse.__name__:
            raise DeletionFailed(f"{model} was not deleted: {document.get('errorMessage')}")
        raise DeletionFailed(
            f"{printable(model)} was not deleted completely: {document.get('errorMessage')}; "
            "delete it again to go on"
        )
    return Deleted(**document | {"versions": tuple(document["versions"])})


def _confirm(output: Output, planned: list[Deleted], *, yes: bool) -> None:
    if yes:
        return
    names = ", ".join(printable(each.model) for each in planned[:MAX_NAMES])
    more = f" and {len(planned) - MAX_NAMES:,} more" if len(planned) > MAX_NAMES else ""
    versions = sum(len(each.versions) for each in planned)
    question = (
        f"Delete {names}{more} for good, {_count(len(planned), 'model')} with "
        f"{_count(versions, 'version')}?"
    )
    ask = prompter(output.remarks, silent=output.as_json)
    if ask.ask("--yes", question, suggestion="no") != "yes":
        raise NotConfirmed("nothing was deleted")


def _line(deleted: Deleted) -> str:
    what = f"{_count(len(deleted.versions), 'version')}, {_count(deleted.uploads, 'upload')}"
    done = "deleted" if deleted.deleted else "would be deleted"
    if deleted.heads:
        done += f" after the heads on it ({_count(deleted.heads, 'version')})"
    return f"{printable(deleted.model)}: {done}, with {what}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
