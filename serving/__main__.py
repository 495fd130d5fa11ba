"""`python -m serving`: the container's `serve` entry point."""

import argparse
import logging
import os
import sys

import uvicorn

from serving import memory
from serving.app import create_app
from serving.guard.crash_guard import CrashGuard, default_folder
from serving.guard.end_with import end_with
from serving.guard.time_limits import TimeLimits
from serving.guard.watchdog import Watchdog
from serving.memory import MemoryBudget
from serving.metrics import Metrics
from serving.models import Models
from serving.runtimes.loader import loader
from serving.settings import from_environment

GRACE = 25  # seconds for requests in flight; SageMaker kills 30 s after SIGTERM
SWITCH_INTERVAL = 0.0005  # seconds; Python's default / 10: threads wait less for its global lock
KEEP_ALIVE = 75  # seconds; longer than Facet's clients keep an idle connection


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered."""
    arguments = argparse.ArgumentParser(prog="serving", description=__doc__)
    arguments.add_argument(
        "serve",
        nargs="?",
        choices=["serve"],
        help="the argument that SageMaker passes; serving is all this command does",
    )
    arguments.parse_args()
    # What the format does not have need not be looked up for each line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # nor which line of code wrote it
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = from_environment(os.environ)
    except ValueError as error:
        sys.exit(f"serving: {error}")
    if settings.parent is not None:
        end_with(settings.parent)
    sys.setswitchinterval(SWITCH_INTERVAL)
    memory.few_arenas()
    budget = settings.memory or memory.spare_bytes()
    limit = memory.process_limit(budget)
    memory.cap(limit)
    metrics = Metrics()
    guard = CrashGuard(settings.state or default_folder())
    limits = TimeLimits(settings.load_limit, settings.compute_limit)
    models = Models(
        loader(settings, guard, limits),
        MemoryBudget(budget, limit),
        metrics,
        workers=settings.workers,
        load_timeout=settings.load_timeout,
        batching=settings.batching,
    )
    uvicorn.run(
        create_app(models, metrics, Watchdog(limits, guard, metrics)),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )


if __name__ == "__main__":
    main()
