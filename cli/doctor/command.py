"""The command `facet doctor`: run the checks, print their results."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from cli.client.stack import account as session
from cli.doctor.account.checks import Deploy, check_account
from cli.doctor.machine import Machine, check_machine
from cli.doctor.result import CheckResult, State
from cli.doctor.stack import check_stack
from cli.terminal.options import (
    THIS_HOME,
    THIS_PORT,
    AsJson,
    Home,
    Parameters,
    Port,
    StackName,
    name_and_value,
)
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
    account: Annotated[
        bool,
        typer.Option(
            "--account", help="Check the account of your AWS credentials for a deploy, before it."
        ),
    ] = False,
    environment: Annotated[
        str | None,
        typer.Option(
            "--env", metavar="ENV", help="With --account: the environment of samconfig.toml."
        ),
    ] = None,
    parameter: Parameters = None,
    home: Home = THIS_HOME,
    port: Port = THIS_PORT,
    as_json: AsJson = False,
) -> None:
    """Check this machine, a deployed stack, or an account, and say how to fix each problem.

    With --stack it checks that stack. With --account it checks what a deploy of --env with each
    --parameter would meet, under the name --stack or the environment's.

    The exit code is 1 if something is missing that Facet cannot work without.
    """
    if not account and (environment or parameter):
        raise typer.BadParameter("--env and --parameter need --account")
    output = Output(as_json)
    with spinner(output, "checking …"):
        if account:
            given = dict(name_and_value(each, "--parameter") for each in parameter or [])
            deploy = Deploy(environment or "default", stack, given)
            results = [*check_account(deploy, session())]
        elif stack:
            results = [*check_stack(stack, session())]
        else:
            results = [*check_machine(Machine(), home, port)]
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
