"""Facet's container against other multi-model servers, side by side in one run.

    python -m benchmarks.serving [PART …] [--servers KEY …] [--seconds S]

The parts are warm, models, thrash, cost and waits. Writes them into docs/benchmarks.md if all
servers are measured with the sample's network; otherwise only prints them. cost and waits measure
Facet alone, against LiteRT itself, and are always written.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from typing import TypeVar

import uvloop

from benchmarks import machine, plots
from benchmarks.document import write
from benchmarks.serving import measures, process_tree, tables, targets
from benchmarks.serving.artifacts import ARTICLE, NETWORKS, Artifacts, artifacts
from benchmarks.serving.environments import NotSetUp
from benchmarks.serving.load import Measured, WrongAnswer
from benchmarks.serving.peers import MLServer, MultiModelServer, RayServe
from benchmarks.serving.running import NotStarted
from benchmarks.serving.servers import BareServer, Facet, Server, TensorFlowLRU

T = TypeVar("T")

FIRST, LAST, MOST = 1, 11, 200
"""Numbers of loaded models at which memory is read; MOST only for ours, whose models are small."""

TIMEOUT = 1200.0
"""Seconds for one measurement of one server, including its set-up."""

SERVERS: Mapping[str, Server] = {
    "lru": TensorFlowLRU(),
    "mms": MultiModelServer(workers=1),
    "mlserver": MLServer(),
    "ray": RayServe(),
    "facet-tensorflow": Facet(lite=False, runtime="TensorFlow"),
    "facet": Facet(lite=True, runtime="LiteRT"),
}
WARM: Mapping[str, Server] = {"mms": MultiModelServer(workers=os.cpu_count() or 1)}
"""Replaces the above for a single model: its default number of workers, and faster."""

ALONE = ("cost", "waits")
"""Parts in which no peer is measured."""

LIMIT = BareServer()
"""What our requests are compared with."""

WARM_MODELS = {
    ARTICLE: ("warm-article", "The article's network", 8.0),
    "model-000": ("warm-sample", "The sample's network", 5.0),
}
"""Models of the warm measurement: part of the document, title of the network, and the target: our
requests per request of the best peer."""

Round = Mapping[str, Mapping[int, Measured]]

ROLES = tables.Roles(
    ours=SERVERS["facet"].title,
    peers=tuple(SERVERS[key].title for key in ("mms", "mlserver", "ray")),
    baseline=SERVERS["lru"].title,
    process_per_model=SERVERS["mms"].title,
    lru=tuple(SERVERS[key].title for key in ("lru", "ray")),
)


class Run:
    """One run of the benchmark."""

    def __init__(self, options: argparse.Namespace, artifacts: Artifacts) -> None:
        self._servers = {key: SERVERS[key] for key in SERVERS if key in options.servers}
        self._seconds: float = options.seconds
        self._rounds: int = options.rounds
        self._artifacts = artifacts
        self._rows: list[targets.Row] = []
        self._whole = len(self._servers) == len(SERVERS) and options.network == NETWORKS[0]

    async def warm(self) -> None:
        """One model, in rounds in which the servers take turns."""
        rounds: dict[str, list[Round] | str] = {each.title: [] for each in self._servers.values()}
        servers = {**self._servers, **{key: WARM[key] for key in WARM if key in self._servers}}
        for number in range(self._rounds):
            for server in servers.values():
                some = rounds[server.title]
                if isinstance(some, str):
                    continue
                print(f"warm, round {number + 1}: {server.title}", flush=True)
                outcome = await attempt(
                    measures.warm(server, self._artifacts, list(WARM_MODELS), self._seconds)
                )
                if isinstance(outcome, str):
                    rounds[server.title] = outcome
                else:
                    some.append(outcome)
        for name, (part, network, wanted) in WARM_MODELS.items():
            self._write_warm(
                part,
                network,
                {
                    title: some if isinstance(some, str) else [each[name] for each in some]
                    for title, some in rounds.items()
                },
                wanted,
            )

    def _write_warm(
        self, part: str, network: str, rounds: tables.Outcomes[tables.Rounds], wanted: float
    ) -> None:
        most = max(measures.CLIENTS)
        title = f"{network}, {most} clients"
        lines = tables.warm(rounds, measures.CLIENTS, ROLES, wanted)
        self._write(part, lines, title, "answers/s", tables.rates(rounds, most))
        name = network.replace("The", "the")
        self._compare(lambda: targets.warm(name, rounds, most, ROLES, wanted))

    async def models(self) -> None:
        """Time to load and answer, and memory."""

        async def fill(server: Server) -> measures.LoadResult:
            marks = (FIRST, LAST, MOST) if server.title == ROLES.ours else (FIRST, LAST)
            return await measures.fill(server, self._artifacts, marks)

        filled = await self._each("models", fill)
        self._write("models", tables.models(filled, FIRST, LAST, MOST, ROLES))
        self._compare(lambda: targets.models(filled, FIRST, LAST, MOST, ROLES))

    async def thrash(self) -> None:
        """More models than fit into memory."""

        async def thrash(server: Server) -> Measured:
            return await measures.thrash(server, self._artifacts, 2 * self._seconds)

        outcomes = await self._each("thrash", thrash)
        bars = {title: each.rate for title, each in tables.measured(outcomes).items()}
        title = (
            f"{measures.MODELS} models, room for {measures.CAPACITY}, {measures.THRASHERS} clients"
        )
        self._write("thrash", tables.thrash(outcomes, ROLES), title, "answers/s", bars)
        self._compare(lambda: targets.thrash(outcomes, ROLES))

    async def _each(self, part: str, work: Callable[[Server], Awaitable[T]]) -> dict[str, T | str]:
        outcomes = {}
        for server in self._servers.values():
            print(f"{part}: {server.title}", flush=True)
            outcomes[server.title] = await attempt(work(server))
        return outcomes

    def _write(
        self,
        part: str,
        lines: Sequence[str],
        title: str = "",
        unit: str = "",
        bars: Mapping[str, float] | None = None,
        baselines: Container[str] | None = None,
    ) -> None:
        if not self._whole and part not in ALONE:
            print("\n".join(lines), flush=True)
            return
        name = f"serving-{part}"
        if bars:
            plots.bars(plots.FOLDER / f"{name}.png", title, unit, bars, baselines)
            lines = [*lines, "", f"![{title}](benchmarks/{name}.png)"]
        write(name, lines)

    async def cost(self) -> None:
        """Processor time of our requests and loads, against the limits."""
        servers = [LIMIT, SERVERS["facet"]]
        print(f"cost: {' and '.join(server.title for server in servers)}", flush=True)
        found = await measures.cost(servers, self._artifacts, 2 * self._seconds)
        costs = {
            "LiteRT without a server": measures.bare_litert(self._artifacts),
            **{server.title: each for server, each in zip(servers, found, strict=True)},
        }
        lines = tables.cost(costs, measures.COST_CLIENTS, ROLES.ours, LIMIT.title)
        limits = {"LiteRT alone": next(iter(costs.values())).warm[1]}
        bars = dict(limits)
        for clients in measures.COST_CLIENTS:
            plural = "s" if clients > 1 else ""
            limits[f"{clients} client{plural}: the limit"] = costs[LIMIT.title].warm[clients]
            bars |= limits
            bars[f"{clients} client{plural}: Facet"] = costs[ROLES.ours].warm[clients]
        title = "Processor time of a warm request"
        self._write("cost", lines, title, "ms", bars, limits)
        counts = measures.COST_CLIENTS
        self._compare(lambda: targets.cost(costs, counts, ROLES.ours, LIMIT.title))

    async def waits(self) -> None:
        """How long a small model's clients wait for a large one that loads."""
        measured = await measures.waits(SERVERS["facet"], self._artifacts, self._seconds)
        self._write("waits", tables.waits(measured))
        self._compare(lambda: targets.waits(measured))

    def _compare(self, make: Callable[[], targets.Row | list[targets.Row]]) -> None:
        self._rows += targets.each_of(make)

    def summary(self) -> None:
        """All ratios of the run beside their targets."""
        lines = targets.table(self._rows)
        if not self._whole:
            print("\n".join(lines), flush=True)
            return
        name = "serving-targets.png"
        targets.plot(self._rows, plots.FOLDER / name)
        write("serving-targets", [*lines, "", f"![share of the targets](benchmarks/{name})"])


PARTS: Mapping[str, Callable[[Run], Awaitable[None]]] = {
    "warm": Run.warm,
    "models": Run.models,
    "thrash": Run.thrash,
    "cost": Run.cost,
    "waits": Run.waits,
}


async def attempt(work: Awaitable[T]) -> T | str:
    """The result, or the reason for a failure, so that the other servers are still measured."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await work
    except (NotSetUp, NotStarted, WrongAnswer) as error:
        reason = str(error)
    except TimeoutError:
        reason = f"it took longer than {TIMEOUT:g} seconds"
    print(f"  {reason}", flush=True)
    return reason


async def run(options: argparse.Namespace) -> None:
    """Runs the chosen parts. SIGTERM also stops the server under test."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with artifacts(MOST, options.network) as models:
        whole = Run(options, models)
        for part in options.parts or PARTS:
            await PARTS[part](whole)
        if not options.parts:
            whole.summary()


def main() -> None:
    """Parses the command line and runs the benchmark."""
    if sys.platform != "linux":
        raise SystemExit("error: this benchmark needs Linux: it reads memory from /proc.")
    parser = argparse.ArgumentParser(description="Facet's container against its peers.")
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument(
        "--network", choices=NETWORKS, default=NETWORKS[0], help="of models, thrash"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of a measurement")
    parser.add_argument("--rounds", type=int, default=2, help="of warm throughput")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)}: choose from {', '.join(PARTS)}")
    if options.network != NETWORKS[0] and "warm" in (options.parts or PARTS):
        parser.error("warm measures both networks: choose models, thrash or both")
    print(machine.describe(), flush=True)
    process_tree.adopt_orphans()
    uvloop.run(run(options))


if __name__ == "__main__":
    main()
