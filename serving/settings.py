"""The container's settings, from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.batching import Batching

BATCH_ROWS = 8
LOAD_LIMIT = 120  # seconds
COMPUTE_LIMIT = 55  # seconds; after 60 SageMaker answers the caller that the invocation timed out


@dataclass(frozen=True)
class Settings:
    """Settings of one container.

    memory: bytes for all models, None for what the machine has left (`memory.spare_bytes`).
    litert_threads: threads of one LiteRT interpreter.  workers: models computed at once.
    load_timeout: seconds after which a load is answered 408 or 507.
    load_limit, compute_limit: seconds after which a load, or one call of a runtime, is stopped.
    parent: the process with which this one ends (Linux), None for none.
    batching: limits of the batches of one model.
    state: folder of the crash guard and of packed weights, None for `crash_guard.default_folder`.
    weight_cache: bytes of packed weights on disk, 0 for none, None for a share of the disk.
    """

    host: str
    port: int
    memory: int | None
    litert_threads: int
    workers: int
    load_timeout: float
    load_limit: float
    compute_limit: float
    parent: int | None
    batching: Batching
    state: Path | None
    weight_cache: int | None


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings from SageMaker's variables and Facet's own (FACET_SERVING_…).

    Raises ValueError, which names the variable, if a number is expected and it has another value.
    """

    def number(variable: str, default: int) -> int:
        text = environ.get(variable, str(default))
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{variable} must be a whole number, not {text!r}")
        return int(text)

    batched = environ.get("SAGEMAKER_TFS_ENABLE_BATCHING", "true").strip().lower() != "false"
    return Settings(
        host=environ.get("FACET_SERVING_HOST", "0.0.0.0"),
        port=number("SAGEMAKER_BIND_TO_PORT", 8080),
        memory=number("FACET_SERVING_MEMORY", 0) or None,
        litert_threads=number("FACET_SERVING_LITERT_THREADS", 1) or 1,
        workers=number("FACET_SERVING_WORKERS", os.cpu_count() or 1) or 1,
        load_timeout=number("SAGEMAKER_TFS_WAIT_TIME_SECONDS", 55),
        load_limit=number("FACET_SERVING_LOAD_LIMIT", LOAD_LIMIT) or LOAD_LIMIT,
        compute_limit=number("FACET_SERVING_COMPUTE_LIMIT", COMPUTE_LIMIT) or COMPUTE_LIMIT,
        parent=number("FACET_SERVING_PARENT", 0) or None,
        weight_cache=number("FACET_SERVING_WEIGHT_CACHE", 0)
        if "FACET_SERVING_WEIGHT_CACHE" in environ
        else None,
        state=Path(state) if (state := environ.get("FACET_SERVING_STATE")) else None,
        batching=Batching(
            rows=(number("SAGEMAKER_TFS_MAX_BATCH_SIZE", BATCH_ROWS) or 1) if batched else 1,
            wait=number("SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS", 0) / 1e6,
        ),
    )
