"""The command `facet verify`: choose the checks, announce the cost, run them, write the report."""

import json
import signal
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated

import typer

from cli.client.api import connect
from cli.client.stack import Stack, find
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName, Yes
from cli.terminal.output import Output, facts
from cli.terminal.progress import spinner
from cli.terminal.prompts import prompter
from cli.verify.artifacts import Sample
from cli.verify.carry_out import Plan, carry_out
from cli.verify.check import Finding
from cli.verify.checks import AT_THE_END, CHECKS, ON_REQUEST
from cli.verify.price import estimate
from cli.verify.report import Redaction, Report, about, lines, plain, summary
from cli.verify.session import Session
from cli.versions import NotConfirmed
from facet.registry.suggestions import did_you_mean

MINUTES = 10
HOURS_MINUTES, UPDATE_MINUTES = 20, 35
"""How long a run takes, and how much longer with `--hours` and `--update`."""


def _completed(incomplete: str) -> list[str]:
    """Complete names of checks."""
    return [each for each in CHECKS if each.startswith(incomplete)]


def verify(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="CHECK",
            help="Only this check; may be repeated.",
            autocompletion=_completed,
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="CHECK",
            help="Not this check; may be repeated.",
            autocompletion=_completed,
        ),
    ] = None,
    hours: Annotated[
        bool,
        typer.Option("--hours", help="Also remove the endpoint by its schedule, and restore it."),
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Also move the endpoint to a new fleet, and back.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the report to a file, .json or text."),
    ] = None,
    yes: Yes = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Test on a stack what Facet assumes about AWS. The exit code is 1 if something is different.

    It makes models of its own, whose names begin with facet-verify-, and deletes them, also after
    Ctrl-C. It changes no other model. The report says for each assumption: seen, different, or not
    tried.
    """
    output = Output(as_json)
    asked = {name for name, wanted in (("hours", hours), ("update", update)) if wanted}
    plan = _plan(only or [], skip or [], asked)
    here = find(stack, home)
    parameters = _parameters(here)
    if here.home is None:
        _confirm(output, here, parameters, plan.chosen, yes=yes)
    created = _writable(report) if report else False
    session = Session(here, connect(here), Sample.read(), parameters, remark=output.remark)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result = _run(session, output, plan)
    except BaseException:
        if report and created:
            report.unlink()  # empty
        raise
    output.result(result.document(), [summary(result)])
    if report:
        text = json.dumps(result.document(), indent=2) + "\n"
        report.write_text(text if report.suffix == ".json" else plain(result.lines()))
    if not result.passed:
        raise typer.Exit(1)


def _writable(report: Path) -> bool:
    """Open the report's file, so that an error comes before the run. Return whether it is new."""
    created = not report.exists()
    report.open("a").close()
    return created


def _run(session: Session, output: Output, plan: Plan) -> Report:
    """Run the checks; print what is verified and each finding as it comes, unless as JSON."""
    redact = Redaction.of(session)
    described = about(session, redact)
    _print(output, facts(described))
    with spinner(output, "starting …") as status:

        def show(finding: Finding) -> None:
            _print(output, lines(redact.finding(finding)))

        findings = carry_out(
            session, plan, lambda check: status(f"{check.name}: {check.assumption}"), show
        )
    return Report(described, [redact.finding(each) for each in findings])


def _print(output: Output, texts: Iterable[object]) -> None:
    if not output.as_json:
        for each in texts:
            output.results.print(each, markup=False)


def _plan(only: list[str], skip: list[str], asked: set[str]) -> Plan:
    """Choose the checks. Raises BadParameter for names of none."""
    names = CHECKS.keys() - {each.name for each in AT_THE_END}
    for option, given in (("--only", only), ("--skip", skip)):
        for name in given:
            if name not in names:
                raise typer.BadParameter(
                    f"there is no check '{name}'; choose {', '.join(sorted(names))}."
                    f"{did_you_mean(name, names)}",
                    param_hint=option,
                )
    chosen = (({*only} or names - ON_REQUEST) | asked) - {*skip}
    left = set() if only else names - chosen
    asks = {name: f"--{name} was not given" for name in ON_REQUEST}
    return Plan(chosen, {name: asks.get(name, "left out by --skip") for name in left})


def _parameters(stack: Stack) -> dict[str, str]:
    """The stack's template parameters. Raises botocore's errors."""
    client = stack.client("cloudformation")
    (found,) = client.describe_stacks(StackName=stack.cloudformation)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}


def _confirm(
    output: Output, stack: Stack, parameters: dict[str, str], chosen: Collection[str], *, yes: bool
) -> None:
    """Announce what the run does and costs, and ask. Raises NotConfirmed."""
    cost = estimate(
        chosen,
        str(stack.session.region_name),
        parameters.get("InstanceType", ""),
        int(parameters.get("InstanceCount", 1)),
    )
    minutes = MINUTES + HOURS_MINUTES * ("hours" in chosen) + UPDATE_MINUTES * ("update" in chosen)
    output.remark(f"verifying {stack.name} takes about {minutes} minutes and costs {cost}")
    if "hours" in chosen:
        output.remark("--hours: no model answers for about a quarter of an hour")
    if "update" in chosen:
        output.remark("--update: the endpoint moves to new instances and back, and keeps answering")
    if yes:
        return
    ask = prompter(output.remarks, silent=output.as_json)
    if ask.ask("--yes", f"Verify {stack.name}?", suggestion="no") != "yes":
        raise NotConfirmed("nothing was verified")
