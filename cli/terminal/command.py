"""The class of all commands: they suggest the name that was meant."""

import re
from typing import Any

from typer.core import TyperCommand

from cli.client.stack import find
from facet.errors import FacetError, UnknownModel, UnknownVersion
from facet.registry.store import Registry
from facet.registry.suggestions import suggestion

ROUTE = re.compile(r"GET \S+, or (`facet [^`]+`),")
"""The API's half of a remedy that names its route and the command."""


class Command(TyperCommand):
    """A command whose errors name models or versions like the one that is not there."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (UnknownModel, UnknownVersion) as error:
            error.args = (f"{error}{_suggestion(error, ctx.params)}",)
            raise


def _suggestion(error: UnknownModel | UnknownVersion, params: dict[str, Any]) -> str:
    try:
        return suggestion(error, Registry(find(params["stack"], params["home"]).registry()))
    except FacetError:  # the stack has stopped meanwhile
        return ""


def without_routes(text: str) -> str:
    """Name only the command in a remedy that names a route of the API, too."""
    return ROUTE.sub(r"\1", text)
