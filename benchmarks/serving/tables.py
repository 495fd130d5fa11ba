"""Formats measurements as lines of docs/benchmarks.md."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.serving.load import Measured, percentile
from benchmarks.serving.measures import Cost, LoadResult, Waits

T = TypeVar("T")
Outcomes = Mapping[str, T | str]
"""Results by the server's title; a text says why the server was not measured."""

Rounds = Sequence[Mapping[int, Measured]]


@dataclass(frozen=True)
class Roles:
    """Titles of servers. lru: those that evict models themselves."""

    ours: str
    peers: tuple[str, ...]
    baseline: str
    process_per_model: str
    lru: tuple[str, ...]


def measured(outcomes: Outcomes[T]) -> dict[str, T]:
    """Only the servers that were measured."""
    return {title: each for title, each in outcomes.items() if not isinstance(each, str)}


def rates(rounds: Outcomes[Rounds], clients: int) -> dict[str, float]:
    """Answers per second, medians of the rounds."""
    return {
        title: statistics.median(each[clients].rate for each in some)
        for title, some in measured(rounds).items()
    }


def warm(
    rounds: Outcomes[Rounds], clients: Sequence[int], roles: Roles, target: float
) -> list[str]:
    """Throughput and latency, and the ratio of ours to the best peer."""
    heads = [f"{count} clients, answers/s | p50 / p99, ms" for count in clients]
    lines = [f"| server | {' | '.join(heads)} |", "|---" * (1 + 2 * len(clients)) + "|"]
    for title, some in rounds.items():
        if isinstance(some, str):
            lines.append(_missing(title, some, 2 * len(clients)))
        else:
            lines.append(f"| {title} | {' | '.join(_speed(some, each) for each in clients)} |")
    ratios = [_warm_ratio(measured(rounds), each, roles, target) for each in clients]
    return [*lines, "", *ratios]


def _speed(rounds: Rounds, clients: int) -> str:
    some = [each[clients] for each in rounds]
    rate = statistics.median(each.rate for each in some)
    middle, high = (statistics.median(each.percentile(p) for each in some) for p in (0.5, 0.99))
    return f"{rate:,.0f} | {_ms(middle)} / {_ms(high)}"


def _warm_ratio(rounds: Mapping[str, Rounds], clients: int, roles: Roles, target: float) -> str:
    by_server = rates(rounds, clients)
    others = {title: by_server[title] for title in roles.peers if title in by_server}
    if roles.ours not in by_server or not others:
        return f"At {clients} clients there is nothing to compare."
    best = max(others, key=others.__getitem__)
    by_round = " / ".join(
        f"{our[clients].rate / max(rounds[title][n][clients].rate for title in others):.1f}"
        for n, our in enumerate(rounds[roles.ours])
    )
    line = (
        f"At {clients} clients {roles.ours} answers **{by_server[roles.ours] / others[best]:.1f}** "
        f"times as many requests as the best peer, {best} (by round: {by_round}); "
        f"target ≥ {target:g}."
    )
    if roles.baseline in by_server:
        times = by_server[roles.ours] / by_server[roles.baseline]
        line += f" And {times:.1f} times as many as {roles.baseline}."
    return line


def models(
    filled: Outcomes[LoadResult], first: int, last: int, most: int, roles: Roles
) -> list[str]:
    """Time to load and answer, and memory; ours also with `most` models."""
    lines = [
        f"| server | load and answer, ms | {first} model, MB | {last} models, MB "
        "| MB per extra model | of it private |",
        "|---|---|---|---|---|---|",
    ]
    for title, each in filled.items():
        if isinstance(each, str):
            lines.append(_missing(title, each, 5))
        else:
            low, high = (each.memory[number].pss / 1e6 for number in (first, last))
            extra = each.per_model(first, last) / 1e6
            private = each.private_per_model(first, last) / 1e6
            lines.append(
                f"| {title} | {_ms(each.median)} | {low:,.0f} | {high:,.0f} | {extra:,.1f} "
                f"| {private:,.1f} |"
            )
    return [*lines, "", *_models_ratios(measured(filled), first, last, most, roles)]


def _models_ratios(
    filled: Mapping[str, LoadResult], first: int, last: int, most: int, roles: Roles
) -> list[str]:
    if (ours := filled.get(roles.ours)) is None:
        return ["Nothing to compare."]
    each, private = ours.per_model(first, most), ours.private_per_model(first, most)
    lines = [
        f"With {most} models {roles.ours} takes {ours.memory[most].pss / 1e6:,.0f} MB: "
        f"{each / 1e6:.2f} MB for each extra one, of which {private / 1e6:.2f} MB are private; "
        "target ≤ 0.8."
    ]
    titles = [*roles.peers, roles.baseline]
    if others := {title: filled[title].median for title in titles if title in filled}:
        best = min(others, key=others.__getitem__)
        lines.append(
            f"It loads a model and answers **{others[best] / ours.median:.0f}** times faster than "
            f"the best of the others, {best}; target ≥ 60."
        )
    if theirs := filled.get(roles.process_per_model):
        lines.append(
            f"An extra model takes **{theirs.per_model(first, last) / each:.0f}** times less "
            f"memory than in {roles.process_per_model}, and "
            f"**{theirs.private_per_model(first, last) / private:.0f}** times less private memory; "
            "target ≥ 250."
        )
    return lines


def thrash(outcomes: Outcomes[Measured], roles: Roles) -> list[str]:
    """Throughput with more models than fit."""
    lines = ["| server | models kept by | answers/s | p50 / p99, ms |", "|---|---|---|---|"]
    for title, each in outcomes.items():
        if isinstance(each, str):
            lines.append(_missing(title, each, 3))
        else:
            by = "itself" if title in roles.lru else "the platform"
            middle, high = each.percentile(0.5), each.percentile(0.99)
            lines.append(f"| {title} | {by} | {each.rate:,.1f} | {_ms(middle)} / {_ms(high)} |")
    return [*lines, "", _thrash_ratio(measured(outcomes), roles)]


def _thrash_ratio(outcomes: Mapping[str, Measured], roles: Roles) -> str:
    ours = outcomes.get(roles.ours)
    if ours is None or not (others := [title for title in roles.lru if title in outcomes]):
        return "Nothing to compare."
    times = " and ".join(
        f"**{ours.rate / outcomes[title].rate:,.0f}** times {title}" for title in others
    )
    return f"{roles.ours} answers {times}; target ≥ 100."


def cost(costs: Mapping[str, Cost], clients: Sequence[int], ours: str, limit: str) -> list[str]:
    """Processor time of each answer and load, and what ours takes of the limits' time.

    The first row is LiteRT's own, without a server, the limit of loads.
    """
    heads = [f"{count} client{'s' if count > 1 else ''}" for count in clients]
    lines = [
        f"| ms of processor time | {' | '.join(heads)} | load, first answer, unload |",
        "|---" * (2 + len(clients)) + "|",
    ]
    for title, each in costs.items():
        cells = [f"{each.warm[count]:.3f}" if count in each.warm else "" for count in clients]
        load = "" if each.load is None else f"{each.load:.2f}"
        lines.append(f"| {title} | {' | '.join(cells)} | {load} |")
    warm = [costs[ours].warm[count] / costs[limit].warm[count] for count in clients]
    loads = (costs[ours].load or 0) / (next(iter(costs.values())).load or 1)
    ratios = [f"**{ratio:.2f}**" for ratio in (*warm, loads)]
    lines.append(f"| {ours}, times the limit | {' | '.join(ratios)} |")
    targets = ["≤ 1.5" if count == 1 else "≤ 1.25" for count in clients]
    return [*lines, f"| target | {' | '.join(targets)} | ≤ 2 |"]


def waits(measured: Waits) -> list[str]:
    """How long a small model's answers take beside a large model."""
    rows = {
        "nothing": measured.alone,
        "a VGG16 loads": measured.loading,
        "it computes": measured.computing,
    }
    lines = ["| meanwhile | answers | p50, ms | p99, ms | longest, ms |", "|---|---|---|---|---|"]
    for name, seconds in rows.items():
        cells = [_ms(percentile(seconds, share)) for share in (0.5, 0.99, 1)]
        lines.append(f"| {name} | {len(seconds):,} | {' | '.join(cells)} |")
    longest = _ms(max(measured.loading))
    return [*lines, "", f"Longest wait while a VGG16 loads: **{longest}** ms; target ≤ 10."]


def _missing(title: str, reason: str, columns: int) -> str:
    """A row with `columns` cells after the title."""
    text = " ".join(reason.replace("|", "/").split())
    return f"| {title} | not measured: {text} {'| ' * (columns - 1)}|"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f}" if seconds < 1 else f"{seconds * 1e3:,.0f}"
