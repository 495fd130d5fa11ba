"""The command `facet cost`: compare one endpoint per model with one for all."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.client import stack
from cli.cost import chart
from cli.cost.containers import CONTAINERS, Serving, of_image
from cli.cost.days import DAYS, Day
from cli.cost.model import (
    HOURS,
    REQUESTS_PER_VCPU,
    Case,
    Comparison,
    Popularity,
    Terms,
    Traffic,
)
from cli.cost.prices import DEFAULT_PRICES, Prices, read
from cli.terminal.options import AsJson
from cli.terminal.output import Output

MAX_MODELS, MAX_RATE = 1_000_000, 1e9
Many = Annotated[int, typer.Option(min=1, max=MAX_MODELS, help="Number of models.")]


def cost(
    models: Many = 1000,
    instance: Annotated[
        str, typer.Option("--instance-type", metavar="TYPE", help="The endpoints' instance type.")
    ] = "ml.m5.xlarge",
    requests_per_second: Annotated[
        float, typer.Option(min=0, max=MAX_RATE, help="Average rate, to all models together.")
    ] = 10,
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
        int, typer.Option(min=1, help="Minimum number of instances of an endpoint.")
    ] = 1,
    loaded: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the models that the one endpoint keeps in memory."
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
            help="Memory of a loaded model, in MB. Default: 5.4 in facet, 204 in aws.",
            show_default=False,
        ),
    ] = None,
    requests_per_vcpu: Annotated[
        float, typer.Option(min=0.001, help="Requests a second that a vCPU answers.")
    ] = REQUESTS_PER_VCPU,
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
    """Compare one endpoint per model with one multi-model endpoint, in dollars a month.

    docs/cost.md explains the arithmetic and where the prices are from.
    """
    known = read(prices)
    place = known.region(region)
    container = CONTAINERS[serving or (_of_stack(deployed) if deployed else "facet")]
    terms = Terms(minimum, scaled, hours, loaded, model_mb, requests_per_vcpu, container)
    case = Case(place.instance(instance), place, terms)
    load = Traffic(requests_per_second, DAYS[traffic], popularity)
    found = case.compare(models, load)
    rows = list(_rows(case, models, load))
    title = (
        f"{requests_per_second / models:,.3g} requests a second to a model on average ({traffic}), "
        f"{instance} in {region}"
    )
    if image:
        chart.image(image, rows, title)
    Output(as_json).result(
        _document(known, region, instance, case, found, rows),
        [*_lines(case, known, instance, region, found), "", title, *chart.bars(rows)],
    )


def _of_stack(name: str) -> Serving:
    """The container that a deployed stack runs. Raises NoStack."""
    return of_image(stack.deployed(name, stack.account()).serving_image)


def _rows(case: Case, models: int, traffic: Traffic) -> Iterator[Comparison]:
    """Compare 1, 10, 100, 1,000 … models, and `models`, with the same rate for each model."""
    counts = {models} | {10**power for power in range(7) if 10**power <= max(models, 1000)}
    for count in sorted(counts):
        yield case.compare(count, replace(traffic, mean=traffic.mean * count / models))


def _lines(
    case: Case, prices: Prices, instance: str, region: str, found: Comparison
) -> list[str | Text]:
    terms, around = case.terms, found.around
    return [
        f"{found.models:,} models on {instance}, ${case.instance.hour:g} an hour in {region} "
        f"(prices of {prices.oldest(instance)}), {terms.hours:g} hours a month",
        "",
        f"{'':26}{'at peak' if terms.follows else 'instances':>9}  {'a month':>14}",
        f"{'an endpoint for each':26}{found.each.instances:>9,}  {found.each.dollars:>14,.2f}",
        f"{'one multi-model endpoint':26}{found.one.instances:>9,}  {found.one.dollars:>14,.2f}",
        f"{'saved':26}{found.saved:>9.1%}  {found.each.dollars - found.one.dollars:>14,.2f}",
        "",
        f"Both ways, for {found.requests:,.0f} requests: API Gateway {around.api:,.2f}, "
        f"Lambda {around.function:,.2f}, storage {around.storage:,.2f}, "
        f"metrics and alarms {around.watching:,.2f}.",
        f"Saved of the whole bill: {found.saved_of_all:.1%}.",
        f"An instance answers {case.capacity:,.0f} requests a second.",
        f"{terms.container.title} holds {case.room:,} models of {terms.memory_mb:g} MB on it.",
        f"Limited by {_limit(case)}.",
        *_unverified(prices, instance),
    ]


def _limit(case: Case) -> str:
    """What limits the number of models, with the source of the numbers that are not the user's."""
    container = case.terms.container
    if case.room == container.most:
        return container.limit
    return "memory" if case.terms.model_mb else f"memory: {container.source}"


def _unverified(prices: Prices, instance: str) -> Iterator[str]:
    if names := prices.unverified(instance):
        yield (
            f"Prices not read on AWS's own pages: {', '.join(names)}. Check them before you decide."
        )


def _document(
    prices: Prices,
    region: str,
    instance: str,
    case: Case,
    found: Comparison,
    rows: Sequence[Comparison],
) -> dict[str, object]:
    return {
        "prices": {
            "date": prices.oldest(instance).isoformat(),
            "currency": prices.currency,
            "unverified": prices.unverified(instance),
        },
        "region": region,
        "instance": instance,
        "terms": _terms(case.terms),
        "models_per_instance": case.room,
        "limited_by": _limit(case),
        **_row(found),
        "by_models": [_row(row) for row in rows],
    }


def _terms(terms: Terms) -> dict[str, object]:
    container = terms.container
    return asdict(terms) | {"model_mb": terms.memory_mb, "container": container.title}


def _row(row: Comparison) -> dict[str, object]:
    return asdict(row) | {"saved": row.saved, "saved_of_all": row.saved_of_all}
