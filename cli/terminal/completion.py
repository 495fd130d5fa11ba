"""Shell completion of arguments: models, versions, recipes, data sets, functions, logs, jobs …"""

from collections.abc import Callable, Iterable
from pathlib import Path

import botocore.session
import typer
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.resources import FUNCTION, resources
from cli.client.stack import HOME, Stack, account, deployed, local
from cli.logs import files, log_groups
from cli.logs.files import ENDPOINT, TRAINING
from facet.errors import FacetError
from facet.keys import DATA_SETS_PREFIX
from facet.recipes import RECIPES
from facet.registry.models import Status
from facet.registry.store import Registry

QUICK = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
"""Short timeouts: a person waits at the prompt."""

PAGE = 100
EVENTS = Path("events")

Completion = Callable[[typer.Context, str], Iterable[str]]


def _silent(candidates: Completion) -> Completion:
    """Filter by what was typed; offer nothing on errors, as a message would garble the prompt."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [each for each in candidates(ctx, incomplete) if each.startswith(incomplete)]
        except (FacetError, BotoCoreError, ClientError, Boto3Error, OSError, LookupError):
            return []

    return complete


@_silent
def models(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Complete names of models, from the first page that matches."""
    page, _ = Registry(_stack(ctx).registry()).models(PAGE, before(incomplete))
    return [each.name for each in page]


@_silent
def versions(ctx: typer.Context, _: str) -> Iterable[str]:
    """Complete a model's versions, the newest first: READY ones, and for `facet watch` all."""
    model = ctx.params["model"] or ctx.args[0]  # before `--version VERSION` nothing is parsed
    found = Registry(_stack(ctx).registry()).versions(model)
    every = ctx.info_name == "watch"
    return [each.id for each in found if every or each.status is Status.READY]


@_silent
def recipes(_: typer.Context, __: str) -> Iterable[str]:
    """Complete names of recipes."""
    return RECIPES


@_silent
def data_sets(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Complete names of data sets in the bucket."""
    stack = _stack(ctx)
    pages = (
        stack.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=stack.bucket, Prefix=f"{DATA_SETS_PREFIX}{incomplete}", Delimiter="/")
    )
    return [
        each["Prefix"].removeprefix(DATA_SETS_PREFIX).rstrip("/")
        for page in pages
        for each in page.get("CommonPrefixes", ())
    ]


@_silent
def functions(ctx: typer.Context, _: str) -> Iterable[str]:
    """Complete names of functions."""
    return sorted(resources(_stack(ctx), FUNCTION))


@_silent
def logs(ctx: typer.Context, _: str) -> Iterable[str]:
    """Complete names of logs."""
    if ctx.params.get("stack"):
        return [*log_groups.groups(_stack(ctx)), TRAINING]
    return [*files.functions(_home(ctx) / "logs"), ENDPOINT, TRAINING]


@_silent
def jobs(ctx: typer.Context, _: str) -> Iterable[str]:
    """Complete the newest training jobs."""
    if ctx.params.get("source") != TRAINING:
        return []
    if ctx.params.get("stack"):
        return log_groups.jobs(_stack(ctx))
    return files.jobs(_home(ctx) / "logs")


@_silent
def events(ctx: typer.Context, _: str) -> Iterable[str]:
    """Complete files in `events/` that begin with the function's name: `predict-raw.json`."""
    stem = str(ctx.params.get("function") or "").removesuffix("Function").lower()
    return sorted(map(str, EVENTS.glob(f"{stem}*.json")))


def before(prefix: str) -> str | None:
    """Return a name that sorts directly before all names with this prefix."""
    return f"{prefix[:-1]}{chr(ord(prefix[-1]) - 1)}~" if prefix else None


def _stack(ctx: typer.Context) -> Stack:
    """Find the stack that the options typed so far name."""
    if not ctx.params.get("stack"):
        return local(_home(ctx))
    session = botocore.session.get_session()
    session.set_default_client_config(QUICK)
    return deployed(ctx.params["stack"], account(session))


def _home(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("home") or HOME)
