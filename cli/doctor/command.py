"""The command."""

from collections.abc import Iterator
from dataclasses import asdict

import typer
from rich.text import Text

from cli.client.stack import account as session
from cli.doctor import account, machine
from cli.doctor.finding import Finding, State
from cli.terminal.options import THIS_HOME, THIS_PORT, AsJson, Home, Port, StackName
from cli.terminal.output import Output
from cli.terminal.progress import spinner

STYLES = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "bold red"}


def doctor(
    stack: StackName = None,
    home: Home = THIS_HOME,
    port: Port = THIS_PORT,
    as_json: AsJson = False,
) -> None:
    """Tell what is missing on this machine, or with --stack in an account, and how to mend it.

    Exit code 1 if something is missing that Facet cannot do without.
    """
    output = Output(as_json)
    with spinner(output, "looking …"):
        if stack:
            found = [*account.examine(stack, session())]
        else:
            found = [*machine.examine(machine.Machine(), home, port)]
    healthy = all(each.state is not State.MISSING for each in found)
    output.result({"healthy": healthy, "findings": [asdict(each) for each in found]}, _lines(found))
    if not healthy:
        raise typer.Exit(1)


def _lines(found: list[Finding]) -> Iterator[Text]:
    width = max(len(each.check) for each in found)
    for each in found:
        state = (f"{each.state:8} ", STYLES[each.state])
        yield Text.assemble(state, (f"{each.check:{width}}  ", "bold"), each.words)
        if each.remedy:
            yield Text(f"{'':{9 + width}}  → {each.remedy}")
