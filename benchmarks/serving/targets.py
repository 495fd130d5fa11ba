"""All ratios of a run beside their targets: one table, and one plot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks import plots
from benchmarks.serving.load import Measured
from benchmarks.serving.measures import Cost, LoadResult, Waits
from benchmarks.serving.tables import Outcomes, Roles, Rounds, measured, rates

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A measured value. at_least: the target is the least that it should be, else the most."""

    what: str
    value: float
    target: float
    at_least: bool = True

    @property
    def share(self) -> float:
        """Of the target: 1 and more meets it."""
        return self.value / self.target if self.at_least else self.target / self.value


def warm(network: str, rounds: Outcomes[Rounds], clients: int, roles: Roles, target: float) -> Row:
    """Raises ValueError if ours or all peers are missing."""
    by_server = rates(rounds, clients)
    best = max(by_server[title] for title in roles.peers if title in by_server)
    return Row(f"requests, {network}, times the best peer", _ours(by_server, roles) / best, target)


def models(
    outcomes: Outcomes[LoadResult], first: int, last: int, most: int, roles: Roles
) -> list[Row]:
    """Loads and private memory. Raises ValueError if a server to compare with is missing."""
    filled = measured(outcomes)
    ours = _ours(filled, roles)
    best = min(filled[title].median for title in _others(filled, (*roles.peers, roles.baseline)))
    private = ours.private_per_model(first, most)
    (theirs,) = _others(filled, [roles.process_per_model])
    times = filled[theirs].private_per_model(first, last) / private
    return [
        Row("load and first answer, times the best peer", best / ours.median, 60),
        Row("private MB of an extra model", private / 1e6, 0.8, at_least=False),
        Row(f"private memory, times less than {theirs}", times, 250),
    ]


def thrash(outcomes: Outcomes[Measured], roles: Roles) -> Row:
    """Raises ValueError if ours or all peers are missing."""
    found = measured(outcomes)
    titles = _others(found, (*roles.peers, roles.baseline))
    best = max(found[title].rate for title in titles)
    return Row("more models than fit, times the best peer", _ours(found, roles).rate / best, 100)


def cost(costs: Mapping[str, Cost], clients: Sequence[int], ours: str, limit: str) -> list[Row]:
    """Processor time of requests and loads."""
    found = []
    for count in clients:
        times = costs[ours].warm[count] / costs[limit].warm[count]
        target = 1.5 if count == 1 else 1.25
        text = f"a request's processor time, {count} clients, times the bare server's"
        found.append(Row(text.replace("1 clients", "1 client"), times, target, at_least=False))
    loads = (costs[ours].load or 0) / (next(iter(costs.values())).load or 1)
    return [*found, Row("a load's processor time, times LiteRT's", loads, 2, at_least=False)]


def waits(measured: Waits) -> Row:
    """The longest wait beside a large model that loads."""
    longest = max(measured.loading) * 1e3
    return Row("longest wait while a VGG16 loads, ms", longest, 10, at_least=False)


def table(rows: Sequence[Row]) -> list[str]:
    """Each value and its target."""
    return [
        "| what | measured | target |",
        "|---|---|---|",
        *(
            f"| {row.what} | {_number(row.value)} | {'≥' if row.at_least else '≤'} {row.target:g} |"
            for row in rows
        ),
    ]


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws the share of the target that each row reaches; grey ones miss it."""
    shares = {row.what: row.share for row in rows}
    missed = {row.what for row in rows if row.share < 1}
    plots.bars(path, "Share of the target that is reached", "1 is the target", shares, missed, 1)


def each_of(make: Callable[[], Row | list[Row]]) -> list[Row]:
    """Rows, none if a server that they need was not measured."""
    try:
        rows = make()
    except ValueError:
        return []
    return rows if isinstance(rows, list) else [rows]


def _ours(found: Mapping[str, T], roles: Roles) -> T:
    if roles.ours not in found:
        raise ValueError(f"{roles.ours} was not measured")
    return found[roles.ours]


def _others(found: Mapping[str, object], titles: Sequence[str]) -> list[str]:
    """Raises ValueError if none of them was measured."""
    if not (there := [title for title in titles if title in found]):
        raise ValueError(f"{titles[0]} was not measured")
    return there


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 20 else f"{value:,.0f}"
