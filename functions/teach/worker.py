"""The handler of the function that teaches. It is invoked asynchronously, by the routes."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.observability import count, logger
from facet.places.choice import Choice
from facet.places.runners import runner
from facet.registry.models import Version
from facet.registry.teachings import utc_now
from facet.settings import settings
from teach.clients import registry, s3, teachings
from teach.work.backbone import Backbone
from teach.work.teaching import Work


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Does the work of `{"model": …, "teaching": …}`, and counts how it ended.

    A repeated event of a teaching that has ended does nothing. After a timeout Lambda repeats the
    event, and the work goes on with the features that were kept.
    """
    logger().set_correlation_id(context.aws_request_id)
    ended = work().run(event["model"], event["teaching"])
    if ended is None:
        return {"state": None}
    count("Teachings", outcome=ended.state)
    return {"state": ended.state, "version": ended.version}


@cache
def work() -> Work:
    """The Work of this process, made from its settings."""
    return Work(s3(), settings().bucket, registry(), teachings(), backbone, utc_now)


def backbone(version: Version) -> Backbone:
    """A version of a backbone, where the stack and its model run it."""
    name = settings()
    run_in = registry().model(version.model).run_in
    return Backbone(version, run_in, choice(), runner, name.invoke_timeout, name.max_pixels)


@cache
def choice() -> Choice:
    """Where versions run: by the stack's parameter."""
    return Choice(settings().run_in)
