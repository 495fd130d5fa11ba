"""Runs ten thousand models behind one endpoint of the local stack.

    python -m benchmarks.scale [--models N] [--seconds S] [--clients N] [--memory MB]
    python -m benchmarks.scale --function

Then the same requests go to the container itself. With --function one caller asks a thousand models
behind the endpoint, and then in the function alone.
Requests follow Zipf's law. Each answer is compared with the one that only this model gives. Writes
its parts of docs/benchmarks.md; a run with other options than the documented ones is only printed.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from urllib.request import urlopen

import boto3
import numpy as np
import orjson

from benchmarks.document import write
from benchmarks.file_server import file_server
from benchmarks.infer.bucket import served
from benchmarks.scale import direct, function
from benchmarks.scale.synthetic_models import PATH, Floats, SyntheticModels, build
from benchmarks.scale.tables import Memory, Run, loads_of, plot, report, shares
from benchmarks.scale.traffic import ENDPOINT, Answers, Plan, drive, target
from benchmarks.serving.process_tree import adopt_orphans, processor_seconds
from facet.preprocess import Pixels
from local.endpoint.platform import EndpointConfig, Platform

OF_MEMORY = re.compile(r"^(?:VmRSS|RssAnon):\s+(\d+) kB$", re.M)
"""In a process's status, which has them in this order."""

BUCKET = "models"
IMAGES = 4
SIDE = 32

FULL = Plan(models=10_000, seconds=150, clients=16, memory=2_000_000_000)
ONE_CALLER = Plan(models=1_000, seconds=15, clients=1, memory=2_000_000_000)
MEMORIES = (1769, 512)
"""MB of the function: the template's default, in which all models fit, and the least."""


def main() -> None:
    """Runs the benchmark; writes a full run into the document."""
    plan = _plan()
    adopt_orphans()
    pixels = np.random.default_rng(1).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    with _separate_process() as process:
        synthetic = process.submit(build, pixels).result()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if plan == ONE_CALLER:
            write("scale-function", _beside_the_function(plan, synthetic, pixels, folder))
            return
        run = _through_the_endpoint(plan, synthetic, pixels, folder)
        _unpack(synthetic, plan.models, folder / "models")
        expected = synthetic.expected(range(plan.models))
        itself = asyncio.run(direct.measure(plan, expected, pixels, folder / "models"))
    lines, container = report(plan, run), shares(run, itself)
    if plan == FULL:
        plot(plan, run)
        write("scale", [*lines, "", "![requests and memory](benchmarks/scale-run.png)"])
        write("scale-container", container)
    else:
        print("\n".join([*lines, "", *container]))


def _through_the_endpoint(
    plan: Plan, synthetic: SyntheticModels, pixels: Pixels, folder: Path
) -> Run:
    _store(synthetic, plan.models, folder / "s3" / BUCKET / "mme")
    with file_server(folder / "s3") as url:
        return _measure(plan, synthetic.expected(range(plan.models)), pixels, url, folder)


def _beside_the_function(
    plan: Plan, synthetic: SyntheticModels, pixels: Pixels, folder: Path
) -> list[str]:
    endpoint = _through_the_endpoint(plan, synthetic, pixels, folder)
    files = {f"m{number}": synthetic.file(number) for number in range(plan.models)}
    with served(folder / "lite", files) as url:
        runs = [
            function.measure(url, synthetic, pixels, memory, plan.models, plan.seconds)
            for memory in MEMORIES
        ]
    return [
        *function.table(runs, endpoint),
        "",
        f"{plan.models:,} models of {len(synthetic.model) / 1e6:.2f} MB, one caller, "
        f"{plan.seconds:.0f} seconds each. The times are those of the function's handler: Lambda's "
        "own, and the start of a new environment, are not in them.",
    ]


def _plan() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=FULL.models)
    parser.add_argument("--seconds", type=float, default=FULL.seconds)
    parser.add_argument("--clients", type=int, default=FULL.clients)
    parser.add_argument("--memory", type=int, default=FULL.memory // 10**6, help="MB")
    parser.add_argument("--function", action="store_true", help="compare with the function")
    options = parser.parse_args()
    if options.function:
        return ONE_CALLER
    return Plan(options.models, options.seconds, options.clients, options.memory * 10**6)


def _separate_process() -> ProcessPoolExecutor:
    """A process that does not share the platform's interpreter."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _store(synthetic: SyntheticModels, models: int, folder: Path) -> None:
    folder.mkdir(parents=True)
    artifacts = synthetic.artifacts()
    for number in range(models):
        (folder / target(number)).write_bytes(artifacts.artifact(number))


def _unpack(synthetic: SyntheticModels, models: int, folder: Path) -> None:
    for number in range(models):
        file = folder / target(number) / PATH
        file.parent.mkdir(parents=True)
        file.write_bytes(synthetic.file(number))


@contextmanager
def _platform(s3_url: str, memory: int, folder: Path) -> Iterator[Platform]:
    s3 = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    platform = Platform(
        [EndpointConfig(ENDPOINT, f"s3://{BUCKET}/mme/", {})],
        s3,
        folder / "cache",
        disk_budget=1 << 40,
        memory_budget=memory,
        log_dir=folder,
    )
    platform.start()
    try:
        yield platform
    finally:
        platform.close()
        s3.close()


def _measure(plan: Plan, expected: Floats, pixels: Pixels, s3_url: str, folder: Path) -> Run:
    with _platform(s3_url, plan.memory, folder) as platform, _separate_process() as process:
        while (pid := platform.container_pid(ENDPOINT)) is None:
            time.sleep(0.05)
        port = int(platform.url.rpartition(":")[2])
        future = process.submit(drive, port, plan, expected, pixels)
        before = processor_seconds([pid]), time.process_time()
        memory = watch(pid, future)
        container = processor_seconds([pid]) - before[0]
        endpoint = time.process_time() - before[1]
        with urlopen(f"{platform.url}/metrics") as answer:
            metrics = orjson.loads(answer.read())[ENDPOINT]
    loaded = int(metrics.pop("LoadedModelCount"))
    loads = loads_of((folder / f"{ENDPOINT}.log").read_text())
    return Run(future.result(), memory, metrics, loads, loaded, container, endpoint)


def watch(pid: int, future: Future[Answers]) -> list[Memory]:
    """Samples the memory of a process every second until the future is done."""
    samples: list[Memory] = []
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        resident, private = (int(found) * 1024 for found in OF_MEMORY.findall(status))
        samples.append(Memory(time.time(), resident, private))
        if wait([future], timeout=1).done:
            return samples


if __name__ == "__main__":
    main()
