"""`facet open`: the page of the stack's API, in a browser."""

import webbrowser
from typing import Annotated
from urllib.parse import quote

import typer

from cli.client.stack import NoStack, Stack, find
from cli.terminal import completion
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName
from cli.terminal.output import Output
from facet.registry.store import Registry


def page_url(stack: Stack, model: str | None = None, *, with_key: bool = True) -> str:
    """The page's URL, with the model selected. The local stack's has the key, as `make run` prints
    it; without it, or of a deployed stack, the page asks for the key.
    """
    query = f"?model={quote(model, safe='')}" if model else ""
    key = f"#key={quote(stack.api_key, safe='')}" if stack.api_key and with_key else ""
    return f"{stack.api_url.rstrip('/')}/{query}{key}"


def open_page(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="The model that the page shows. Default: the first.",
            autocompletion=completion.models,
            show_default=False,
        ),
    ] = None,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Open the stack's page in a browser, and print its URL."""
    here, output = find(stack, home), Output(as_json)
    if not here.api_url:
        raise NoStack("the stack has no output ApiUrl; deploy it again")
    if model:
        Registry(here.registry()).model(model)
    url = page_url(here, model)
    output.result({"url": url}, [url])
    if not webbrowser.open(url):
        output.remark("no browser was found; open the URL in one")
