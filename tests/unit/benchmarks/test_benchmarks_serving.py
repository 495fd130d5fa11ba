"""The benchmark of the container: load generator, memory measurement and tables."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from benchmarks.serving import process_tree, tables, targets
from benchmarks.serving.load import (
    Connection,
    Measured,
    WrongAnswer,
    connect,
    measure,
    percentile,
    request,
)
from benchmarks.serving.measures import Cost, LoadResult, Waits
from benchmarks.serving.platform import Platform
from benchmarks.serving.process_tree import Memory
from tests.support.processes.waiting import LONG

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Answers:
    """A server that answers every request with the same bytes, in separate pieces."""

    def __init__(self, *pieces: bytes, close: bool = False) -> None:
        self._pieces = pieces
        self._close = close
        self.requests: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.requests.append(head + await reader.readexactly(length))
            for piece in self._pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if self._close:
                break
        writer.close()


@asynccontextmanager
async def serving(answers: Answers) -> AsyncIterator[int]:
    """Runs the server and yields its port."""

    async def until_they_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answers(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(until_they_leave, "127.0.0.1", 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


def send(connection: Connection) -> asyncio.Future[bytes]:
    return connection.send(request("POST", "/x", b"{}"))


async def run(answers: Answers, **options: float | int) -> Measured:
    settings = {"clients": 3, "seconds": 30.0, "most": 100} | options
    async with serving(answers) as port:
        return await measure(port, send, **settings)  # type: ignore[arg-type]


def test_counts_every_answer_and_keeps_connections() -> None:
    answers = Answers(OK)
    measured = uvloop.run(run(answers, most=60))
    assert 60 <= len(measured.latencies) <= 60 + 2
    assert len(measured.latencies) == len(answers.requests)
    assert answers.connections == 3
    assert measured.rate == len(measured.latencies) / measured.seconds
    assert 0 < min(measured.latencies) <= max(measured.latencies) <= measured.seconds


def test_a_measurement_ends_on_time() -> None:
    measured = uvloop.run(run(Answers(OK), seconds=1e-9))
    assert len(measured.latencies) <= 3
    assert measured.seconds < 20


def test_requests_are_complete() -> None:
    answers = Answers(OK)
    uvloop.run(run(answers, clients=1, most=1))
    head, _, body = answers.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert b"\r\nHost: 127.0.0.1" in head
    assert body == b"{}"


def test_accepts_an_answer_in_pieces() -> None:
    async def one() -> bytes:
        pieces = [OK[:5], OK[5:30], OK[30:-2], OK[-2:]]
        async with serving(Answers(*pieces)) as port:
            connection = await connect(port)
            answer = await send(connection)
            assert await send(connection) == answer
            connection.close()
            return answer

    assert uvloop.run(one()) == b"good"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 507 Full\r\ncontent-length: 7\r\n\r\nno room", "status 507: no room"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "without Content-Length"),
    ],
)
def test_a_wrong_answer_ends_the_measurement(answer: bytes, reason: str) -> None:
    with pytest.raises(WrongAnswer, match=reason):
        uvloop.run(run(Answers(answer)))


def test_a_closed_connection_ends_the_measurement() -> None:
    with pytest.raises(WrongAnswer, match="closed the connection"):
        uvloop.run(run(Answers(OK[:-1], close=True)))
    with pytest.raises(WrongAnswer, match="closed the connection"):
        uvloop.run(run(Answers(OK, close=True)))


def test_percentiles_are_values_that_occurred() -> None:
    hundred = [float(each) for each in range(100, 0, -1)]
    assert percentile(hundred, 0.5) == 50
    assert percentile(hundred, 0.99) == 99
    assert percentile(hundred, 1) == 100
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7


class Recorder(Connection):
    """Answers in the next loop iteration and checks that capacity is not exceeded."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.loaded: set[str] = set()
        self._capacity = capacity

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._answer_to(request.decode()))

    async def _answer_to(self, call: str) -> bytes:
        self.calls.append(call)
        action, name = call.split()
        if action == "unload":
            self.loaded.remove(name)
        await asyncio.sleep(0)
        if action == "load":
            assert name not in self.loaded
            self.loaded.add(name)
            assert len(self.loaded) <= self._capacity
        elif action == "invoke":
            assert name in self.loaded
        await asyncio.sleep(0)
        return call.encode()


def platform(capacity: int) -> Platform:
    def call(action: str) -> Callable[[str], bytes]:
        return lambda name: f"{action} {name}".encode()

    return Platform(call("load"), call("unload"), capacity)


def test_the_platform_unloads_the_least_recently_used() -> None:
    async def visit(names: str, connection: Connection) -> None:
        models = platform(capacity=2)
        for name in names:
            invocation = f"invoke {name}".encode()
            assert await models.send(connection, name, invocation) == invocation

    connection = Recorder(capacity=2)
    uvloop.run(visit("abacb", connection))
    assert [call for call in connection.calls if not call.startswith("invoke")] == [
        "load a",
        "load b",
        "unload b",
        "load c",
        "unload a",
        "load b",
    ]


def test_the_platform_loads_a_model_once_and_keeps_models_in_use() -> None:
    async def crowd(connection: Connection) -> None:
        models = platform(capacity=3)

        async def client(number: int) -> None:
            for step in range(40):
                name = "abcdefg"[(number * 3 + step * number) % 7]
                await models.send(connection, name, f"invoke {name}".encode())

        await asyncio.gather(*(client(number) for number in range(3)))

    connection = Recorder(capacity=3)
    uvloop.run(crowd(connection))
    assert sum(call.startswith("invoke") for call in connection.calls) == 120
    assert sum(call.startswith("unload") for call in connection.calls) > 3


def test_memory_is_read_in_bytes() -> None:
    rollup = (
        "55d0-7ffd ---p 00000000 00:00 0    [rollup]\n"
        "Rss:                9000 kB\nPss:                5000 kB\nPss_Anon:           4000 kB\n"
        "Private_Clean:       900 kB\nPrivate_Dirty:      2000 kB\n"
    )
    assert process_tree.memory_of(rollup) == Memory(pss=5000 * 1024, private=2000 * 1024)
    assert process_tree.memory_of("") == Memory(0, 0)


@linux_only
def test_allocated_memory_is_measured() -> None:
    before = process_tree.memory([os.getpid()])
    block = bytearray(os.urandom(1 << 20) * 32)
    after = process_tree.memory([os.getpid()])
    assert after.pss - before.pss > 0.9 * len(block)
    assert after.private - before.private > 0.9 * len(block)
    never_a_pid = 1 << 30
    assert process_tree.memory([never_a_pid]) == Memory(0, 0)


@linux_only
def test_processor_time_is_that_of_the_process_and_not_of_waiting() -> None:
    before, own = process_tree.processor_seconds([os.getpid()]), time.process_time()
    while time.process_time() < own + 0.2:
        pass
    time.sleep(0.2)
    assert process_tree.processor_seconds([os.getpid()]) - before == pytest.approx(0.2, abs=0.1)


@linux_only
def test_finds_descendants_of_all_generations() -> None:
    nested = "import subprocess, sys; subprocess.run(['cat'])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as child:
        try:
            while not (grandchildren := process_tree.descendants(child.pid)):
                assert child.poll() is None
            assert len(grandchildren) == 1
            assert {child.pid, *grandchildren} <= set(process_tree.descendants(os.getpid()))
            assert os.getpid() not in process_tree.descendants(os.getpid())
        finally:
            assert child.stdin is not None
            child.stdin.close()


ORPHANING = """
import subprocess, sys
from benchmarks.serving import process_tree
process_tree.adopt_orphans()
script = "sh -c 'trap \\"\\" TERM; echo $$; exec sleep 60' & wait"
child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
print(child.stdout.readline().decode().strip(), flush=True)
process_tree.end(child, timeout=5)
"""


@linux_only
def test_ends_all_descendants() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHANING], capture_output=True, text=True, check=True, timeout=LONG
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


ROLES = tables.Roles(
    ours="Ours", peers=("One", "Other"), baseline="Base", process_per_model="One", lru=("Base",)
)


def at(rate: float) -> Measured:
    """A hundred answers."""
    return Measured(100 / rate, [0.01] * 99 + [0.5])


def line(lines: Sequence[str], start: str) -> str:
    return next(each for each in lines if each.startswith(start))


def test_throughput_is_compared_with_the_best_peer() -> None:
    rounds: dict[str, list[dict[int, Measured]] | str] = {
        "Base": [{8: at(300)}] * 3,
        "One": [{8: at(rate)} for rate in (100, 90, 120)],
        "Other": [{8: at(rate)} for rate in (50, 200, 60)],
        "Ours": [{8: at(rate)} for rate in (400, 500, 600)],
    }
    lines = tables.warm(rounds, [8], ROLES, 8)
    assert line(lines, "| Ours") == "| Ours | 500 | 10.0 / 10.0 |"
    assert line(lines, "| One") == "| One | 100 | 10.0 / 10.0 |"
    ratio = line(lines, "At 8 clients")
    assert "**5.0** times as many requests as the best peer, One" in ratio
    assert "by round: 4.0 / 2.5 / 5.0" in ratio
    assert "1.7 times as many as Base" in ratio
    assert "target ≥ 8." in ratio
    row = targets.warm("some network", rounds, 8, ROLES, 8)
    assert (row.value, row.share) == (5, 5 / 8)


def test_a_failed_server_is_listed_with_the_reason() -> None:
    rounds: dict[str, list[dict[int, Measured]] | str] = {
        "One": "uv pip: no | such\npackage",
        "Other": [{8: at(100)}],
        "Ours": [{8: at(200)}],
    }
    lines = tables.warm(rounds, [8], ROLES, 8)
    assert line(lines, "| One") == "| One | not measured: uv pip: no / such package | |"
    assert "**2.0** times as many requests as the best peer, Other" in lines[-1]
    columns = {each.count("|") for each in lines if each.startswith("|")}
    assert columns == {4}


def megabytes(pss: int, private: int = 0) -> Memory:
    return Memory(pss * 10**6, private * 10**6)


def test_requests_and_loads_are_compared_with_the_limits() -> None:
    costs = {
        "LiteRT": Cost({1: 0.1}, load=1.0),
        "Bare": Cost({1: 0.2, 8: 0.2}, load=None),
        "Ours": Cost({1: 0.3, 8: 0.25}, load=1.8),
    }
    lines = tables.cost(costs, [1, 8], ours="Ours", limit="Bare")
    assert line(lines, "| LiteRT") == "| LiteRT | 0.100 |  | 1.00 |"
    assert line(lines, "| Bare") == "| Bare | 0.200 | 0.200 |  |"
    assert (
        line(lines, "| Ours, times") == "| Ours, times the limit | **1.50** | **1.25** | **1.80** |"
    )
    assert lines[-1] == "| target | ≤ 1.5 | ≤ 1.25 | ≤ 2 |"
    rows = targets.cost(costs, [1, 8], "Ours", "Bare")
    assert [(row.target, row.share >= 1) for row in rows] == [(1.5, True), (1.25, True), (2, True)]


def test_waits_beside_a_large_model() -> None:
    lines = tables.waits(Waits([0.001] * 100, [0.002] * 99 + [0.0451], [0.003]))
    assert line(lines, "| nothing") == "| nothing | 100 | 1.0 | 1.0 | 1.0 |"
    assert line(lines, "| a VGG16 loads") == "| a VGG16 loads | 100 | 2.0 | 2.0 | 45.1 |"
    assert lines[-1].startswith("Longest wait while a VGG16 loads: **45.1** ms")
    assert targets.waits(Waits([], [0.002, 0.02], [])).share == 0.5


def test_loading_and_memory_are_compared() -> None:
    filled: dict[str, LoadResult | str] = {
        "Base": LoadResult([0.2, 0.1, 0.3], {1: megabytes(500), 11: megabytes(600)}),
        "One": LoadResult([2.0], {1: megabytes(100), 11: megabytes(2100, 3000)}),
        "Other": "no Java",
        "Ours": LoadResult(
            [0.004, 0.005, 0.9],
            {1: megabytes(40), 11: megabytes(90, 30), 200: megabytes(836, 199)},
        ),
    }
    lines = tables.models(filled, 1, 11, 200, ROLES)
    assert line(lines, "| Ours") == "| Ours | 5.0 | 40 | 90 | 5.0 | 3.0 |"
    assert line(lines, "| One") == "| One | 2,000 | 100 | 2,100 | 200.0 | 300.0 |"
    assert line(lines, "| Other") == "| Other | not measured: no Java | | | | |"
    assert "4.00 MB for each extra one, of which 1.00 MB" in line(lines, "With 200 models")
    assert "**40** times faster than the best of the others, Base" in line(lines, "It loads")
    assert "**50** times less memory than in One" in line(lines, "An extra model")
    rows = targets.models(filled, 1, 11, 200, ROLES)
    assert [row.value for row in rows] == [40, 1, 300]
    assert targets.table(rows)[2:] == [
        "| load and first answer, times the best peer | 40 | ≥ 60 |",
        "| private MB of an extra model | 1.00 | ≤ 0.8 |",
        "| private memory, times less than One | 300 | ≥ 250 |",
    ]
    without = {title: each for title, each in filled.items() if title != "One"}
    assert targets.each_of(lambda: targets.models(without, 1, 11, 200, ROLES)) == []


def test_the_targets_are_drawn(tmp_path: Path) -> None:
    rows = [targets.Row("faster", 30, 60), targets.Row("smaller", 0.4, 0.8, at_least=False)]
    assert [row.share for row in rows] == [0.5, 2]
    targets.plot(rows, tmp_path / "targets.png")
    assert (tmp_path / "targets.png").read_bytes().startswith(b"\x89PNG")


def test_thrashing_is_compared_with_servers_that_evict_models() -> None:
    outcomes: dict[str, Measured | str] = {"Base": at(4), "One": at(2), "Ours": at(500)}
    lines = tables.thrash(outcomes, ROLES)
    assert line(lines, "| Base") == "| Base | itself | 4.0 | 10.0 / 10.0 |"
    assert line(lines, "| One").startswith("| One | the platform |")
    assert targets.thrash(outcomes, ROLES).value == 125
    assert lines[-1] == "Ours answers **125** times Base; target ≥ 100."
    assert tables.thrash({"Ours": "down"}, ROLES)[-1] == "Nothing to compare."
