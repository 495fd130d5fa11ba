"""The container's settings, from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.batching import Batching

BATCH_ROWS = 8


@dataclass(frozen=True)
class Settings:
    """One container.

    memory: bytes that models may take, None for what the machine leaves (`memory.spare_bytes`).
    litert_threads: threads of one LiteRT interpreter.  workers: models computed at once.
    batching: which requests to one model are computed together.
    state: folder that tells the next process of loads that ended this one, None for a default.
    load_timeout: seconds after which a load is answered 408 or 507.
    parent: process whose death ends this one (Linux), None to outlive it.
    """

    host: str
    port: int
    memory: int | None
    litert_threads: int
    workers: int
    load_timeout: float
    parent: int | None
    batching: Batching
    state: Path | None


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings from SageMaker's variables and our own (FACET_SERVING_…).

    Raises ValueError that names the variable which is no number.
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
        parent=number("FACET_SERVING_PARENT", 0) or None,
        state=Path(state) if (state := environ.get("FACET_SERVING_STATE")) else None,
        batching=Batching(
            rows=(number("SAGEMAKER_TFS_MAX_BATCH_SIZE", BATCH_ROWS) or 1) if batched else 1,
            wait=number("SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS", 0) / 1e6,
        ),
    )
