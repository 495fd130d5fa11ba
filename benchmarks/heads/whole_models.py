"""The same traffic with whole models behind the endpoint: those of `benchmarks.scale`.

They are registered without an upload, and their artifacts have no SavedModel. Each is one small
network of 0.2 MB, less than most classifiers: that favours whole models.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import boto3
import numpy as np
import orjson

from benchmarks.file_server import file_server
from benchmarks.heads import records
from benchmarks.heads.account import Account, endpoint, separate_process
from benchmarks.heads.many_heads import MEMORY, images, resident
from benchmarks.heads.records import Example
from benchmarks.heads.tenants import LABELS, Named
from benchmarks.heads.traffic import Answers, Plan, in_environments, save_expected
from benchmarks.scale.synthetic_models import SyntheticModels, build
from benchmarks.scale.tables import loads_of
from facet import preprocess
from facet.keys import version_id, version_key
from facet.manifest import Manifest
from facet.registry.models import Place, Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from facet.specs import InputSpec, OutputSpec

PREFIX = "whole-"
LOADED = rf"{PREFIX}(\d+)/\w+\.tar\.gz"
"""A target in the container's log."""

NOW = "2026-01-01T00:00:00.000+00:00"
SPEC = InputSpec(
    tensor="image", encoding="uint8", height=32, width=32, decode="reduced", scale=1 / 255
)
"""Height, width and payload are those of the network; its arithmetic is in the graph."""


@dataclass(frozen=True, eq=False)
class Run:
    """`resident` are bytes of the container before and after, `loaded` the models in it then.

    `loads` has (model, Unix time) of each. An artifact has `stored` bytes.
    """

    models: int
    environments: Sequence[Answers]
    container: float
    resident: tuple[int, int]
    loaded: int
    loads: Sequence[tuple[int, float]]
    stored: int


def measure(
    account: Account,
    process: ProcessPoolExecutor,
    folder: Path,
    models: int,
    seconds: float,
    environments: int,
) -> Run:
    """Asks `models` models for so many seconds, in so many environments of the predict function."""
    files = images()
    pixels = np.stack(
        [preprocess.apply(SPEC, preprocess.decode(SPEC, file), file) for file in files]
    )
    with separate_process() as other:
        synthetic = other.submit(build, pixels.astype(np.uint8)).result()
    objects = folder / "s3-whole"
    named = _stored(synthetic, models, objects / account.bucket)
    with separate_process(account.shared) as other:
        other.submit(_register, account.table, named[0]).result()
    written = process.submit(records.items, account.table, named[0].model).result()
    example = Example(json.dumps(written), named[0])
    process.submit(records.write_like, account.table, example, named).result()
    expected = synthetic.expected(range(models))
    save_expected(folder / "expected-whole", [each.version for each in named], expected, None)
    plan = Plan(models, seconds, PREFIX, files, folder / "expected-whole")
    whole = folder / "whole"
    whole.mkdir()
    with (
        file_server(objects) as s3,
        endpoint(account, whole, MEMORY, s3) as opened,
        ExitStack() as opening,
    ):
        variables = account.environment("PredictFunction", opened.url)
        asking = [
            opening.enter_context(separate_process(variables, quiet=True))
            for _ in range(environments)
        ]
        before = opened.processor_seconds, resident(opened.container)
        answers = in_environments(asking, plan)
        spent = opened.processor_seconds - before[0]
        with urlopen(f"{opened.url}/metrics") as answer:
            loaded = orjson.loads(answer.read())[account.endpoint]["LoadedModelCount"]
        sizes = before[1], resident(opened.container)
    stored = len(synthetic.artifacts().artifact(0))
    loads = loads_of((whole / f"{account.endpoint}.log").read_text(), LOADED)
    return Run(models, answers, spent, sizes, int(loaded), loads, stored)


def _stored(synthetic: SyntheticModels, models: int, objects: Path) -> list[Named]:
    """Writes the artifacts as objects."""
    artifacts = synthetic.artifacts()
    named = []
    for number in range(models):
        content = artifacts.artifact(number)
        sha256 = hashlib.sha256(content).hexdigest()
        model = f"{PREFIX}{number:07}"
        named.append(Named(sha256, sha256, version_id(sha256), model))
        path = objects / version_key(model, version_id(sha256))
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return named


def _register(table: str, named: Named) -> None:
    """Makes one model live, in a process that reaches the account."""
    stored = boto3.resource("dynamodb").Table(table)
    version = Version(
        model=named.model,
        id=named.version,
        status=Status.PENDING,
        sha256=named.sha256,
        size=1,
        uploaded_at=NOW,
        updated_at=NOW,
        manifest=Manifest(
            schema=1,
            labels=LABELS,
            input=SPEC,
            output=OutputSpec(tensor="scores"),
        ),
        litert_size=1,
    )
    Registry(stored).begin(version)
    ready = {"status": Status.READY, "proof": "smoke", "proven_in": {Place.ENDPOINT: NOW}}
    Releases(stored).accept(Version(**{**vars(version), **ready}))
