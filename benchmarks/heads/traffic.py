"""Requests to the predict function, in environments that answer one at a time, as Lambda's do."""

import base64
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.heads.account import Context, LastLine, calls
from benchmarks.scale.traffic import zipf

TOLERANCE = 1e-3
"""Of a score or familiarity. The API rounds the latter to four digits."""

WARM, AGAIN, COLD = range(3)
"""What an answer took: nothing was read; records in the registry, whose time was over; records, and
weights from S3."""

MOST = 1_000_000
"""Requests that an environment can note."""

MEMORY_EVERY = 1.0

NOTE = np.dtype(
    [
        *(("tenant", np.int32), ("kind", np.int8)),
        *(("at", np.float64), ("seconds", np.float32)),
        *(("registry", np.float32), ("invoke", np.float32)),
    ]
)
"""`at` is Unix time; `registry` and `invoke` are the milliseconds of these steps."""


@dataclass(frozen=True)
class Plan:
    """Each of `tenants` models is called `prefix` and its number; `expected` is the folder of what
    they must answer to `images`, as files.
    """

    tenants: int
    seconds: float
    prefix: str
    images: Sequence[bytes]
    expected: Path


@dataclass(frozen=True, eq=False)
class Answers:
    """`notes` has what was answered, `memory` (Unix time, private bytes) of the environment.

    `calls` counts the calls of AWS by service and operation, `cpu` has the processor seconds in the
    handler.
    """

    notes: NDArray[np.void]
    memory: Sequence[tuple[float, int]]
    calls: Mapping[str, int]
    cpu: float
    errors: Sequence[str]


def save_expected(
    folder: Path, versions: Sequence[str], scores: NDArray[Any], familiarity: NDArray[Any] | None
) -> None:
    """Writes what models must answer: (models,) versions, (models, images, labels) scores, and for
    heads (models, images) familiarity.
    """
    folder.mkdir()
    np.save(folder / "versions.npy", np.array(versions))
    np.save(folder / "scores.npy", scores)
    if familiarity is not None:
        np.save(folder / "familiarity.npy", familiarity)


class Expected:
    """What models must answer, which stays in files."""

    def __init__(self, folder: Path) -> None:
        self._versions, self._scores = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("versions", "scores")
        )
        known = folder / "familiarity.npy"
        self._familiarity = np.load(known, mmap_mode="r") if known.exists() else None

    def fault(self, answer: Mapping[str, Any], tenant: int, image: int) -> str | None:
        """Why this answer is not that of the model; None if it is."""
        body = orjson.loads(answer["body"])
        if answer["statusCode"] != 200:
            return str(body)
        if body["version"] != self._versions[tenant]:
            return f"the version is {body['version']}"
        wanted = self._scores[tenant, image]
        found = {each["label"]: each["score"] for each in body["predictions"]}
        scores = [found.get(f"label {at}", np.nan) for at in range(len(wanted))]
        if not np.abs(np.array(scores) - wanted).max() <= TOLERANCE:
            return f"the scores {scores} are not this model's: {wanted}"
        if self._familiarity is None:
            return None
        familiarity = self._familiarity[tenant, image]
        if not abs(body["familiarity"] - familiarity) <= TOLERANCE:
            return f"familiarity {body['familiarity']} is not {familiarity}"
        return None


def ask(plan: Plan, seed: int) -> Answers:
    """Asks for `plan.seconds`, in an environment of the function: a process with its variables."""
    called = calls()
    from predict import app

    expected = Expected(plan.expected)
    bodies = [base64.b64encode(each).decode() for each in plan.images]
    notes = np.empty(MOST, NOTE)
    memory: list[tuple[float, int]] = []
    errors: list[str] = []
    cpu, at = 0.0, 0
    end = time.monotonic() + plan.seconds
    for tenant in map(int, zipf(plan.tenants, MOST, seed)):
        image = at % len(bodies)
        event = _event(f"{plan.prefix}{tenant:07}", bodies[image], f"{seed}-{at}")
        before = called["dynamodb.GetItem"], called["s3.GetObject"]
        sent, began, spent = time.time(), time.perf_counter(), time.process_time()
        answer = app.handler(event, Context(29))  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        cpu += time.process_time() - spent
        kind = WARM
        if called["s3.GetObject"] > before[1]:
            kind = COLD
        elif called["dynamodb.GetItem"] > before[0]:
            kind = AGAIN
        if fault := expected.fault(answer, tenant, image):
            errors.append(f"{plan.prefix}{tenant:07}: {fault}")
        else:
            notes[at] = (tenant, kind, sent, seconds, *_steps())
            at += 1
        if time.monotonic() > end - plan.seconds + len(memory) * MEMORY_EVERY:
            memory.append((time.time(), private_bytes()))
        if time.monotonic() > end or len(errors) > 100:
            break
    return Answers(notes[:at].copy(), memory, dict(called), cpu, errors)


def in_environments(processes: Sequence[ProcessPoolExecutor], plan: Plan) -> list[Answers]:
    """Asks in all of these environments at the same time."""
    futures = [each.submit(ask, plan, seed) for seed, each in enumerate(processes, 1)]
    return [each.result() for each in futures]


def _event(model: str, body: str, request: str) -> dict[str, Any]:
    """API Gateway's event of an image for a model, with all labels wanted."""
    path = f"/models/{model}/predict"
    return {
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "headers": {"Content-Type": "image/jpeg"},
        "multiValueHeaders": None,
        "queryStringParameters": {"top_k": "1000"},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"requestId": request, "stage": "v1", "path": f"/v1{path}"},
        "body": body,
        "isBase64Encoded": True,
    }


def _steps() -> tuple[float, float]:
    """The milliseconds for the registry and the invocation, of the metrics printed last."""
    line = orjson.loads(sys.stdout.text) if isinstance(sys.stdout, LastLine) else {}
    registry, invoke = (
        float(np.sum(line.get(f"{each}Time", 0))) for each in ("Registry", "Invoke")
    )
    return registry, invoke


def private_bytes() -> int:
    """This process's memory that no file backs."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if line[:7] == "RssAnon") * 1024
