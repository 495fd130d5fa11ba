"""The class of all commands: help without jargon, usage errors in words, and suggestions."""

import inspect
import re
from typing import Any

from pydantic import ValidationError
from typer.core import TyperCommand
from typer.exceptions import TyperException

from cli.client.stack import find
from facet.errors import FacetError, UnknownModel, UnknownVersion
from facet.registry.store import Registry
from facet.registry.suggestions import suggestion

ROUTE = re.compile(r"GET \S+, or (`facet [^`]+`),")
"""The API's half of a remedy that names its route and the command."""

WORDS = {
    "int_parsing": "'{input}' is not a whole number",
    "int_from_float": "'{input}' is not a whole number",
    "float_parsing": "'{input}' is not a number",
    "greater_than_equal": "{input} is less than {ge}",
    "less_than_equal": "{input} is more than {le}",
    "literal_error": "'{input}' is not one of {expected}",
    "enum": "'{input}' is not one of {expected}",
}
"""pydantic's types of errors in a command's words."""


class Command(TyperCommand):
    """A command whose errors name models or versions like the one that is not there."""

    def get_params(self, ctx: Any) -> Any:
        return without_bool(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; an error names the value, and shows the command's usage."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            if isinstance(error.__cause__, ValidationError):
                error.message = _words(error.__cause__)
            if getattr(error, "ctx", ctx) is None:
                error.ctx, error.cmd = ctx, self  # type: ignore[attr-defined]
            raise

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


def without_bool(params: list[Any]) -> list[Any]:
    """Let help show no type beside switches."""
    for each in params:
        if getattr(each, "is_flag", False) and each.metavar is None:
            each.metavar = ""
    return params


def one_line_paragraphs(text: str) -> str:
    """Join the lines of each paragraph: Typer keeps the source's line breaks after the first."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(text))


def _words(error: ValidationError) -> str:
    first = error.errors()[0]
    text = WORDS.get(first["type"])
    if text is None:
        message, value = first["msg"].removeprefix("Value error, ").rstrip("."), first["input"]
        return message if f"'{value}'" in message else f"{message}, not '{value}'"
    return text.format(input=first["input"], **first.get("ctx", {}))


def without_routes(text: str) -> str:
    """Name only the command in a remedy that names a route of the API, too."""
    return ROUTE.sub(r"\1", text)
