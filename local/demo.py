"""The demo of `make run`: the samples are onboarded, then classify images, as any client would."""

import hashlib
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from cli.client.api import NOT_FOUND, ApiError, Document, connect
from cli.client.stack import Stack
from facet.errors import FacetError
from facet.keys import ARTIFACT_SUFFIX, IMAGE_SUFFIXES, upload_key, version_id

ONBOARDING_SECONDS = 300.0
"""As long as the local endpoint lets a model load."""

POLL_SECONDS = 0.1
CONTENT_TYPE = "application/octet-stream"
READY, REJECTED = "READY", "REJECTED"
UNAVAILABLE, TIMED_OUT = 503, 504


class DemoFailed(FacetError):
    """A sample was rejected or not onboarded in time, or an image was not classified."""


class NotAnswered(DemoFailed):
    """The API says that no place answers for the model at the moment."""


@dataclass(frozen=True)
class SampleImage:
    """An encoded image and the model that classifies it."""

    model: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Answer:
    """The best label of an image; `milliseconds` from request to response."""

    label: str
    score: float
    milliseconds: float


class Demo:
    """A client of a running stack. All methods raise ApiUnreachable and botocore's errors."""

    def __init__(self, stack: Stack) -> None:
        self._api = connect(stack)
        self._bucket = stack.bucket
        self._s3 = stack.client("s3")

    def has(self, artifact: Path) -> bool:
        """Whether `<model>.tar.gz` is READY already."""
        return bool(self._version(model_of(artifact), version_of(artifact))["status"] == READY)

    def onboard(self, artifact: Path) -> None:
        """Uploads `<model>.tar.gz` and waits until it is READY.

        Raises DemoFailed, with the violations of a rejected upload.
        """
        model = model_of(artifact)
        self._s3.put_object(Bucket=self._bucket, Key=upload_key(model), Body=artifact.read_bytes())
        found = self._wait(model, version_of(artifact))
        if found["status"] == REJECTED:
            reasons = "; ".join(
                f"{each['code']} ({each['place']}): {each['problem']}"
                for each in found["violations"]
            )
            raise DemoFailed(f"the sample {artifact.name} was rejected: {reasons}")

    def predict(self, image: SampleImage) -> Answer:
        """Classifies one image. Raises NotAnswered, DemoFailed."""
        start = time.perf_counter()
        try:
            document = _answered(
                lambda: self._api.predict(
                    image.model, image.content, CONTENT_TYPE, top_k=1, version=None
                )
            )
        except ApiError as error:
            failure = NotAnswered if error.status == UNAVAILABLE else DemoFailed
            raise failure(f"{image.name}: {error} (status {error.status})") from error
        milliseconds = (time.perf_counter() - start) * 1000
        best = document["predictions"][0]
        return Answer(best["label"], best["score"], milliseconds)

    def _wait(self, model: str, version: str) -> Document:
        """The version once it is READY or REJECTED."""
        poll = Retrying(
            retry=retry_if_result(lambda found: found["status"] not in (READY, REJECTED)),
            wait=wait_fixed(POLL_SECONDS),
            stop=stop_after_delay(ONBOARDING_SECONDS),
        )
        try:
            return poll(self._version, model, version)
        except RetryError as error:
            raise DemoFailed(
                f"{model} was not onboarded within {ONBOARDING_SECONDS:.0f} s; "
                "`facet logs onboard` shows what its function did"
            ) from error

    def _version(self, model: str, version: str) -> Document:
        try:
            versions = _answered(lambda: self._api.model(model))["versions"]
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            versions = []
        found = (dict(each) for each in versions if each["version"] == version)
        return next(found, {"status": "UNKNOWN"})


def _answered(ask: Callable[[], Document]) -> Document:
    """Asks again what API Gateway gave up: a function may take longer to start than it waits."""
    patient = Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "status", None) == TIMED_OUT),
        wait=wait_fixed(POLL_SECONDS),
        stop=stop_after_delay(ONBOARDING_SECONDS),
        reraise=True,
    )
    return patient(ask)


def model_of(artifact: Path) -> str:
    return artifact.name.removesuffix(ARTIFACT_SUFFIX)


def version_of(artifact: Path) -> str:
    """The id of a file in the registry: the first 12 hex digits of its SHA-256."""
    with artifact.open("rb") as file:
        return version_id(hashlib.file_digest(file, "sha256").hexdigest())


def artifacts(samples: Path) -> list[Path]:
    """The sample artifacts, `<model>.tar.gz`, by name."""
    return sorted(samples.glob(f"*{ARTIFACT_SUFFIX}"))


def images(samples: Path) -> Iterator[SampleImage]:
    """The sample images, `images/<model>/<name>`.

    If FACET_DATA names a folder of data sets, one test image of each of their classes follows.
    """
    for path in sorted(samples.glob("images/*/*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield SampleImage(
                path.parent.name, str(path.relative_to(samples.parent)), path.read_bytes()
            )
    if data := os.environ.get("FACET_DATA"):
        yield from _cifar(Path(data))
        yield from _sign_language(Path(data))


def _cifar(data: Path) -> Iterator[SampleImage]:
    path = data / "cifar10_jpeg.zip"
    if not path.exists():
        return
    with zipfile.ZipFile(path) as archive:
        for name in _one_of_each(
            name for name in archive.namelist() if name.startswith("cifar10/test/")
        ):
            yield SampleImage("cifar", name, archive.read(name))


def _sign_language(data: Path) -> Iterator[SampleImage]:
    folder = data / "sign_language" / "test"
    for name in _one_of_each(str(path.relative_to(data)) for path in folder.glob("*/*")):
        yield SampleImage("sign-language", name, (data / name).read_bytes())


def _one_of_each(names: Iterator[str]) -> list[str]:
    """The first image of each class, which is the name of its folder."""
    first: dict[str, str] = {}
    for name in sorted(names):
        if Path(name).suffix.lower() in IMAGE_SUFFIXES:
            first.setdefault(Path(name).parent.name, name)
    return list(first.values())
