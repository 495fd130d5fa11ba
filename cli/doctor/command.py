"""The command `facet doctor`: run the checks, print their results."""

from collections.abc import Iterator
from dataclasses import asdict

import typer
from rich.text import Text

from cli.client.stack import account as session
from cli.doctor import machine
from cli.doctor.result import CheckResult, State
from cli.doctor.stack import check_stack
from cli.terminal.options import THIS_HOME, THIS_PORT, AsJson, Home, Port, StackName
from cli.terminal.output import Output
from cli.terminal.progress import spinner

STYLES = {
    State.OK: "green",
    State.WARNING: "yellow",
    State.UNKNOWN: "yellow",
    State.MISSING: "bold red",
}


def doctor(
    stack: StackName = None,
    home: Home = THIS_HOME,
    port: Port = THIS_PORT,
    as_json: AsJson = False,
) -> None:
    """Check this machine, or with --stack a deployed stack, and say how to fix each problem.

    The exit code is 1 if something is missing that Facet cannot work without.
    """
    output = Output(as_json)
    with spinner(output, "checking …"):
        if stack:
            results = [*check_stack(stack, session())]
        else:
            results = [*machine.check_machine(machine.Machine(), home, port)]
    healthy = all(each.state is not State.MISSING for each in results)
    output.result(
        {"healthy": healthy, "findings": [asdict(each) for each in results]}, _lines(results)
    )
    if not healthy:
        raise typer.Exit(1)


def _lines(results: list[CheckResult]) -> Iterator[Text]:
    width = max(len(each.check) for each in results)
    for each in results:
        state = (f"{each.state:8} ", STYLES[each.state])
        yield Text.assemble(state, (f"{each.check:{width}}  ", "bold"), each.words)
        if each.remedy:
            yield Text(f"{'':{9 + width}}  → {each.remedy}")
