"""Many heads on the sample backbone: two are onboarded, the others written as these were."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.file_server import file_server
from benchmarks.heads import records
from benchmarks.heads.account import Account, Endpoint, endpoint, separate_process
from benchmarks.heads.memory import kept_bytes
from benchmarks.heads.onboarding import upload
from benchmarks.heads.records import Example
from benchmarks.heads.tenants import LABELS, Floats, Named, Tenants, write
from benchmarks.heads.traffic import (
    Answers,
    Plan,
    in_environments,
    save_expected,
)
from benchmarks.predict.synthetic_photo import jpeg
from facet import preprocess
from facet.heads.weights import HEAD
from facet.keys import version_id
from facet.manifest import BackboneManifest, BackboneRef
from facet.preprocess import Pixels

SAMPLE = Path(__file__).resolve().parents[2] / "samples/backbone.tar.gz"
BACKBONE = "backbone"
LITE = "1/assets.extra/model.tflite"

IMAGES = 4
SIDE = 224
CHUNK = 1000
"""Heads that are written at once by one process."""

WRITERS = 2
MEMORY = 2 << 30
"""Bytes for models in the container, as in the local stack."""


@dataclass(frozen=True, eq=False)
class Run:
    """`environments` has what each was answered, `container` the processor seconds of the
    container, `resident` its bytes at the end. A head's file has `stored` bytes, and takes `kept`
    in memory.
    """

    heads: int
    environments: Sequence[Answers]
    container: float
    resident: int
    stored: int
    kept: int


def images() -> list[bytes]:
    """JPEGs of images that no head was taught."""
    return [jpeg((SIDE, SIDE), seed) for seed in range(1, IMAGES + 1)]


@contextmanager
def with_backbone(account: Account, folder: Path) -> Iterator[tuple[Endpoint, str]]:
    """The endpoint, and the version of the sample backbone, which is onboarded."""
    with endpoint(account, folder, MEMORY, None) as opened:
        variables = account.environment("OnboardFunction", opened.url)
        with separate_process(variables, quiet=True) as onboarding:
            version = onboarding.submit(upload, BACKBONE, SAMPLE.read_bytes()).result()
        yield opened, version


def measure(
    account: Account,
    process: ProcessPoolExecutor,
    folder: Path,
    heads: int,
    seconds: float,
    environments: int,
) -> Run:
    """Asks `heads` heads for so many seconds, in so many environments of the predict function."""
    objects = folder / "s3" / account.bucket
    objects.mkdir(parents=True)
    with with_backbone(account, folder) as (opened, version):
        tenants = _tenants(version)
        named, scores, familiarity = _written(tenants, heads, objects)
        _register(account, process, opened, tenants, named)
        save_expected(
            folder / "expected", [each.version for each in named], scores[:, 1:], familiarity[:, 1:]
        )
        plan = Plan(heads, seconds, "head-", images(), folder / "expected")
        with file_server(folder / "s3") as s3, ExitStack() as opening:
            variables = account.environment("PredictFunction", opened.url, s3)
            asking = [
                opening.enter_context(separate_process(variables, quiet=True))
                for _ in range(environments)
            ]
            before = opened.processor_seconds
            answers = in_environments(asking, plan)
            spent = opened.processor_seconds - before
        content = tenants.head(0).to_bytes()
        with separate_process() as other:
            sizes = {"labels": len(LABELS), "width": tenants.backbone.width}
            kept = other.submit(kept_bytes, content, **sizes).result()
        return Run(heads, answers, spent, resident(opened.container), len(content), kept)


def resident(pid: int) -> int:
    """A process's resident bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) * 1024


def _tenants(version: str) -> Tenants:
    """Heads on that version of the sample backbone, whose features LiteRT computes here."""
    with tarfile.open(SAMPLE) as archive:
        names = ("facet.json", LITE, "golden.png")
        document, model, golden = (_member(archive, name) for name in names)
    manifest = BackboneManifest.model_validate_json(document)
    spec = manifest.input
    files = [golden, *images()]
    pixels = np.stack(
        [preprocess.apply(spec, preprocess.decode(spec, each), each) for each in files]
    )
    with separate_process() as other:
        features = other.submit(_features, model, manifest, pixels.astype(np.uint8)).result()
    recorded = np.array(manifest.golden.features)
    distance = np.linalg.norm(features[0] - recorded) / np.linalg.norm(recorded)
    if not distance <= manifest.golden.tolerance:
        raise ValueError(f"the golden image's features are {distance:.3f} from the recorded ones")
    named = BackboneRef(model=BACKBONE, version=version, width=manifest.width)
    return Tenants(named, manifest, golden, features)


def _features(model: bytes, manifest: BackboneManifest, pixels: Pixels) -> Floats:
    """Imports TensorFlow, so do not call it in a process that measures."""
    from training.export.litert import lite_scorer

    features: Floats = lite_scorer(model, manifest.input, manifest.output.tensor)(pixels)
    return features


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    assert found is not None
    return found.read()


def _written(tenants: Tenants, heads: int, objects: Path) -> tuple[list[Named], Floats, Floats]:
    named: list[Named] = []
    scores, familiarity = [], []
    with ProcessPoolExecutor(WRITERS, get_context("spawn")) as writers:
        chunks = [range(at, min(at + CHUNK, heads)) for at in range(0, heads, CHUNK)]
        for part in writers.map(write, [tenants] * len(chunks), chunks, [objects] * len(chunks)):
            named += part[0]
            scores.append(part[1])
            familiarity.append(part[2])
    return named, np.concatenate(scores), np.concatenate(familiarity)


def _register(
    account: Account,
    process: ProcessPoolExecutor,
    opened: Endpoint,
    tenants: Tenants,
    named: Sequence[Named],
) -> None:
    """Writes the heads' records as onboarding does, which two others show: the second is compared
    with what would have been written for it.

    Raises ValueError if they differ.
    """
    before = process.submit(records.items, account.table).result()
    real: list[list[records.Attributes]] = []
    names: list[Named] = []
    variables = account.environment("OnboardFunction", opened.url)
    with separate_process(variables, quiet=True) as onboarding:
        for number in (len(named), len(named) + 1):
            made = tenants.artifact(number)
            onboarding.submit(upload, tenants.name(number), made).result()
            names.append(_named(tenants, number, made))
            known = [*before, *(item for group in real for item in group)]
            now = process.submit(records.items, account.table).result()
            changed = [each for each in now if each not in known]
            real.append([each for each in changed if records.names(each, tenants.name(number))])
    example = Example(json.dumps(real[0]), names[0])
    if found := records.differences(example, names[1], real[1]):
        raise ValueError(f"onboarding writes something else: {', '.join(found)}")
    process.submit(records.write_like, account.table, example, named).result()


def _named(tenants: Tenants, number: int, made: bytes) -> Named:
    """The names of a head with this artifact. Raises ValueError if its file is not the one that is
    written for it.
    """
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        content = _member(archive, HEAD)
    if content != tenants.head(number).to_bytes():
        raise ValueError(f"{tenants.name(number)} has other weights in its artifact")
    sha256 = hashlib.sha256(made).hexdigest()
    head_sha256 = hashlib.sha256(content).hexdigest()
    return Named(sha256, head_sha256, version_id(sha256), tenants.name(number))
