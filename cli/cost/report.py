"""The report of `facet cost`: the table of all places, and the article's comparison."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from cli.cost.heads import TITLES, Bill, teaching
from cli.cost.model import (
    LAMBDA_SECONDS,
    Around,
    Case,
    Comparison,
    Traffic,
    rates,
)
from cli.cost.places import PLACES, Column
from cli.cost.prices import Prices
from cli.terminal.tables import plain_table

NEW_ACCOUNT = 10
"""Concurrent executions that a new account may have (README.md, Deploy)."""


@dataclass(frozen=True)
class Report:
    """What was compared: all places for some numbers of models, as many heads beside whole models
    (`heads`), and the article's two ways for one of them (`found`), with rows for the chart.
    """

    prices: Prices
    region: str
    instance: str
    case: Case
    traffic: Traffic
    day: str
    columns: Sequence[Column]
    heads: Sequence[Mapping[str, Bill | None]]
    found: Comparison
    rows: Sequence[Comparison]

    @property
    def title(self) -> str:
        """The chart's title."""
        return (
            f"{self.traffic.mean / self.found.models:,.3g} requests a second to a model on average "
            f"({self.day}), {self.instance} in {self.region}"
        )

    def head(self) -> list[str]:
        """What the table is about."""
        terms, traffic = self.case.terms, self.traffic
        return [
            f"{traffic.mean:,.6g} requests a second to all models together ({self.day}, "
            f"{traffic.popularity}), {self.found.requests:,.0f} a month.",
            f"A model takes {terms.memory_mb:g} MB in {terms.container.title}, an answer "
            f"{1e3 / terms.requests_per_vcpu:.3g} ms of a vCPU.",
            f"Dollars a month (instances in the busiest hour) on {self.instance} in {self.region}:",
            "",
        ]

    def table(self) -> Table:
        """Dollars and instances of each place."""
        table = self._table("holds")
        for name, place in PLACES.items():
            found = [column.needs[name] for column in self.columns]
            holds = {f"{needs.holds:,}" for needs in found if needs}
            cells = [
                f"{money(needs.dollars)} ({needs.instances:,})" if needs else "-" for needs in found
            ]
            table.add_row(place.title, holds.pop() if len(holds) == 1 else "", *cells)
        table.add_row("cheapest", "", *[_title(column.cheapest) for column in self.columns])
        return table

    def break_even(self) -> Table:
        """Requests a second below which the function costs less."""
        table = self._table("")
        for name, place in PLACES.items():
            if any(name in column.below for column in self.columns):
                table.add_row(place.title, "", *[_rate(column, name) for column in self.columns])
        return table

    def heads_table(self) -> Table:
        """Dollars of heads and of whole models, and of teaching all heads once."""
        table = self._table("")
        for name, title in TITLES.items():
            bills = [bills[name] for bills in self.heads]
            table.add_row(title, "", *[money(bill.dollars) if bill else "-" for bill in bills])
        each = teaching(self.case)
        taught = [money(column.models * each) for column in self.columns]
        table.add_row("teaching each once", "", *taught)
        return table

    def notes(self) -> Iterator[str]:
        """What the table does not show: sizes, what is around every place, and assumptions."""
        yield "Facet runs models on the multi-model endpoint and in the function."
        yield "docs/cost.md says how sizes and times were measured; none on AWS."
        yield from self._sizes()
        yield from self._concurrency()
        yield from self._around()
        loaded = self.case.terms.loaded
        yield f"On multi-model endpoints and Fargate {loaded:.0%} of the models are in memory."
        if lacking := self.case.region.lacking():
            yield f"The price file lacks {', '.join(lacking)}: what needs them is left out."
        yield from unverified(self.prices, self.instance)

    def example(self) -> list[str]:
        """The article's comparison: an endpoint for each model, or one for all."""
        case, found, each, one = self.case, self.found, self.found.each, self.found.one
        terms, container = case.terms, case.terms.container
        return [
            "The article's example, without the requests' cost:",
            f"{found.models:,} models on {self.instance}, ${case.instance.hour:g} an hour in "
            f"{self.region} (prices of {self.prices.oldest(self.instance)}), {terms.hours:g} hours "
            "a month",
            "",
            f"{'':26}{'at peak' if terms.follows else 'instances':>9}  {'a month':>14}",
            f"{'an endpoint for each':26}{each.instances:>9,}  {each.dollars:>14,.2f}",
            f"{'one multi-model endpoint':26}{one.instances:>9,}  {one.dollars:>14,.2f}",
            f"{'saved':26}{found.saved:>9.1%}  {each.dollars - one.dollars:>14,.2f}",
            "",
            f"Saved of the whole bill: {found.saved_of_all:.1%}.",
            f"An instance answers {case.capacity:,.0f} requests a second.",
            f"{container.title} holds {case.room:,} models of {terms.memory_mb:g} MB on it.",
            f"Limited by {limit(case)}.",
        ]

    def document(self) -> dict[str, object]:
        """All numbers, for `--json`."""
        case = self.case
        around = self.found.around
        return {
            "prices": {
                "date": self.prices.oldest(self.instance).isoformat(),
                "currency": self.prices.currency,
                "unverified": self.prices.unverified(self.instance),
            },
            "region": self.region,
            "instance": self.instance,
            "terms": _terms(case),
            "models_per_instance": case.room,
            "limited_by": limit(case),
            **_row(self.found),
            "by_models": [_row(row) for row in self.rows],
            "requests_per_second": self.traffic.mean,
            "places": [_column(column) for column in self.columns],
            "heads": [
                {"models": column.models, "bills": {name: _bill(each) for name, each in of.items()}}
                for column, of in zip(self.columns, self.heads, strict=True)
            ],
            "teaching": teaching(self.case),
            "api": {
                "rest": around.api,
                "http": case.region.http_api_of(self.found.requests),
                "function_url": 0.0,
            },
        }

    def _table(self, second: str) -> Table:
        counts = [f"{column.models:,} models" for column in self.columns]
        table = plain_table("place", second, *counts, whole=frozenset(counts))
        for column in table.columns[1:]:
            column.justify = "right"
        return table

    def _sizes(self) -> Iterator[str]:
        needs = [column.needs for column in self.columns]
        if sizes := [each.size for found in needs if (each := found["fargate"])]:
            yield f"A task on Fargate has {'; '.join(dict.fromkeys(sizes))}."
        if missed := [f"{each.missed:.0%}" for found in needs if (each := found["function"])]:
            yield (
                f"The function (LiteRT models only, {self.case.terms.function_mb:,} MB) reads the "
                f"model from S3 for {', '.join(dict.fromkeys(missed))} of the requests."
            )

    def _concurrency(self) -> Iterator[str]:
        """Name the executions at once, if a new account may not have so many."""
        at_once = [
            max(rates(self.traffic)) * LAMBDA_SECONDS + needs.instances
            for column in self.columns
            if (needs := column.needs["function"])
        ]
        if at_once and max(at_once) > NEW_ACCOUNT:
            yield (
                f"With the function, {max(at_once):,.0f} functions run at once in the busiest "
                f"hour; a new account may have a quota of {NEW_ACCOUNT}."
            )

    def _around(self) -> Iterator[str]:
        found, around = self.found, self.found.around
        yield (
            f"Around every place, for {found.requests:,.0f} requests: API Gateway "
            f"{around.api:,.2f}, Lambda {around.function:,.2f}, storage {around.storage:,.2f}, "
            f"metrics and alarms {around.watching:,.2f}."
        )
        http = self.case.region.http_api_of(found.requests)
        yield (
            f"API Gateway is Facet's REST API: {self._share(around):.0%} of the cheapest bill for "
            f"{found.models:,} models. "
            + (f"As an HTTP API {http:,.2f}, as" if http is not None else "As")
            + " a function's URL 0.00."
        )

    def _share(self, around: Around) -> float:
        (column,) = [each for each in self.columns if each.models == self.found.models]
        needs = column.needs[column.cheapest] if column.cheapest else None
        whole = around.dollars + (needs.dollars if needs else 0)
        return around.api / whole if whole else 0


def unverified(prices: Prices, instance: str) -> Iterator[str]:
    """Date the prices, and name those that were not read on AWS's pages."""
    yield f"The oldest price is of {prices.oldest(instance)}."
    if names := prices.unverified(instance):
        yield (
            f"Prices not read on AWS's own pages: {', '.join(names)}. Check them before you decide."
        )


def limit(case: Case) -> str:
    """What limits the number of models, with the source of the numbers that are not the user's."""
    container = case.terms.container
    if case.room == container.most:
        return container.limit
    return "memory" if case.terms.model_mb else f"memory: {container.source}"


def money(dollars: float) -> str:
    """Whole dollars, and cents of small amounts."""
    return f"${dollars:,.0f}" if dollars >= 100 else f"${dollars:,.2f}"


def _rate(column: Column, name: str) -> str:
    if name not in column.below:
        return "-"
    rate = column.below[name]
    return "always" if rate is None else f"{rate:,.3g}" if rate < 1000 else f"{rate:,.0f}"


def _title(name: str | None) -> str:
    return PLACES[name].title if name else "-"


def _column(column: Column) -> dict[str, object]:
    return {
        "models": column.models,
        "cheapest": column.cheapest,
        "needs": {name: needs and asdict(needs) for name, needs in column.needs.items()},
        "function_cheaper_below": dict(column.below),
    }


def _bill(bill: Bill | None) -> dict[str, float] | None:
    return asdict(bill) | {"dollars": bill.dollars} if bill else None


def _terms(case: Case) -> dict[str, object]:
    terms = case.terms
    own = {"model_mb": terms.memory_mb, "container": terms.container.title}
    return asdict(terms) | own


def _row(row: Comparison) -> dict[str, object]:
    return asdict(row) | {"saved": row.saved, "saved_of_all": row.saved_of_all}
