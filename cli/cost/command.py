"""The command `facet cost`: what models cost in each place where they may run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli.client import stack
from cli.cost import chart
from cli.cost.containers import CONTAINERS, Serving, of_image
from cli.cost.days import DAYS, Day
from cli.cost.heads import bills
from cli.cost.model import (
    FUNCTION_MB,
    HOURS,
    REQUESTS_PER_VCPU,
    Case,
    Comparison,
    Popularity,
    Terms,
    Traffic,
)
from cli.cost.places import compare
from cli.cost.prices import DEFAULT_PRICES, read
from cli.cost.report import Report
from cli.terminal.options import AsJson
from cli.terminal.output import Output
from cli.terminal.tables import print_table

MAX_MODELS, MAX_RATE, MAX_MB = 1_000_000, 1e9, 1e6
MAX_MILLISECONDS = 29_000
"""API Gateway waits no longer for an answer."""

MODELS, MAX_COLUMNS = (10, 1000, 10_000), 6
"""The numbers of models that are compared side by side, and how many there may be."""

EXAMPLE = 1000
"""The article's number of models."""

RATE = 10.0
"""Requests a second, if none are given."""


def cost(
    models: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=MAX_MODELS,
            metavar="N",
            help="Number of models; may be given several times. "
            "Default: 10, 1,000 and 10,000 side by side.",
            show_default=False,
        ),
    ] = None,
    instance: Annotated[
        str, typer.Option("--instance-type", metavar="TYPE", help="The endpoints' instance type.")
    ] = "ml.m5.xlarge",
    requests_per_second: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MAX_RATE,
            help="Average rate, to all models together. Default: 10.",
            show_default=False,
        ),
    ] = None,
    requests_per_minute: Annotated[
        float | None,
        typer.Option(min=0, max=MAX_RATE, help="The same rate by the minute.", show_default=False),
    ] = None,
    traffic: Annotated[
        Day,
        typer.Option(
            help="A day's course. steady: constant; day: a wave of 0.2 to 1.8 times the average; "
            "office: 90 % in nine hours; burst: half in one hour."
        ),
    ] = "steady",
    popularity: Annotated[
        Popularity,
        typer.Option(
            help="even: equal rates; zipf: the n-th most popular model gets 1/n of the first."
        ),
    ] = "even",
    scaled: Annotated[
        bool,
        typer.Option("--scaled", help="Scale instances by the hour instead of for the peak."),
    ] = False,
    minimum: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Minimum number of instances of an endpoint."),
    ] = 1,
    loaded: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the models that a multi-model endpoint keeps in memory, or Fargate.",
        ),
    ] = 1,
    serving: Annotated[
        Serving | None,
        typer.Option(
            help="The endpoint's container: facet, Facet's own, or aws, AWS's TensorFlow image. "
            "Default: facet, or that of --stack.",
            show_default=False,
        ),
    ] = None,
    deployed: Annotated[
        str | None,
        typer.Option(
            "--stack", metavar="NAME", help="Assume the container of this deployed stack."
        ),
    ] = None,
    model_mb: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=MAX_MB,
            help="Memory of a loaded model, in MB. Default: 5.4 in facet, 204 in aws.",
            show_default=False,
        ),
    ] = None,
    requests_per_vcpu: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=MAX_RATE,
            help="Requests a second that a vCPU answers. Default: 100.",
            show_default=False,
        ),
    ] = None,
    milliseconds: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=MAX_MILLISECONDS,
            help="The same as the time of an answer on a vCPU. Default: 10.",
            show_default=False,
        ),
    ] = None,
    function_mb: Annotated[
        int,
        typer.Option(min=512, max=10240, help="Memory of the function that runs models, in MB."),
    ] = FUNCTION_MB,
    hours: Annotated[
        float, typer.Option(min=1, max=744, help="Hours a month that the endpoints run.")
    ] = HOURS,
    region: Annotated[str, typer.Option(help="A region in the price file.")] = "us-east-1",
    prices: Annotated[
        Path, typer.Option(metavar="FILE", help="Your own price file.", show_default=False)
    ] = DEFAULT_PRICES,
    image: Annotated[
        Path | None, typer.Option("--chart", metavar="FILE.png", help="Write the chart as a PNG.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what models cost in each place where they may run, in dollars a month.

    An endpoint for each, a multi-model endpoint with AWS's image or with Facet's container,
    inference components, a container on Fargate, or a function. Names the cheapest, and the rate
    up to which the function costs less. Then as many models are heads on one backbone.

    docs/cost.md explains the arithmetic and where the prices are from.
    """
    known = read(prices)
    place = known.region(region)
    per_second = _one(
        "--requests-per-second",
        requests_per_second,
        "--requests-per-minute",
        None if requests_per_minute is None else requests_per_minute / 60,
    )
    per_vcpu = _one(
        "--requests-per-vcpu",
        requests_per_vcpu,
        "--milliseconds",
        None if milliseconds is None else 1e3 / milliseconds,
    )
    container = CONTAINERS[serving or (_of_stack(deployed) if deployed else "facet")]
    terms = Terms(
        minimum,
        scaled,
        hours,
        loaded,
        model_mb,
        REQUESTS_PER_VCPU if per_vcpu is None else per_vcpu,
        container,
        function_mb,
    )
    case = Case(place.instance(instance), place, terms)
    load = Traffic(RATE if per_second is None else per_second, DAYS[traffic], popularity)
    counts = _counts(models)
    main = models[0] if models else EXAMPLE
    report = Report(
        known,
        region,
        instance,
        case,
        load,
        traffic,
        columns=[compare(case, count, load) for count in counts],
        heads=[bills(case, count, load) for count in counts],
        found=case.compare(main, load),
        rows=list(_rows(case, main, load)),
    )
    if image:
        chart.image(image, report.rows, report.title)
    _print(report, Output(as_json))


def _print(report: Report, output: Output) -> None:
    if output.as_json:
        output.result(report.document(), [])
        return
    output.result({}, report.head())
    print_table(output, report.table())
    below = report.break_even()
    if below.row_count:
        output.result({}, ["", "The function costs less below so many requests a second:", ""])
        print_table(output, below)
    heads = "As heads on one backbone, and as whole models, with storage and registry:"
    output.result({}, ["", heads, ""])
    print_table(output, report.heads_table())
    output.result({}, ["", *report.notes(), "", *report.example(), "", report.title])
    output.result({}, chart.bars(report.rows))


def _counts(models: list[int] | None) -> list[int]:
    counts = sorted(set(models or MODELS))
    if len(counts) > MAX_COLUMNS:
        raise typer.BadParameter(
            f"{len(counts)} numbers of models do not fit side by side; give {MAX_COLUMNS} at most",
            param_hint="--models",
        )
    return counts


def _one(name: str, value: float | None, other: str, same: float | None) -> float | None:
    """Return the value of one of two options that say the same."""
    if value is not None and same is not None:
        raise typer.BadParameter(f"give {name} or {other}, not both", param_hint=name)
    return same if value is None else value


def _of_stack(name: str) -> Serving:
    """The container that a deployed stack runs. Raises NoStack."""
    return of_image(stack.deployed(name, stack.account()).serving_image)


def _rows(case: Case, models: int, traffic: Traffic) -> Iterator[Comparison]:
    """Compare 1, 10, 100, 1,000 … models, and `models`, with the same rate for each model."""
    counts = {models} | {10**power for power in range(7) if 10**power <= max(models, 1000)}
    for count in sorted(counts):
        yield case.compare(count, replace(traffic, mean=traffic.mean * count / models))
