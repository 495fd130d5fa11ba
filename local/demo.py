"""What `make run` shows: the samples onboarded, then images sent to them, as any client would."""

import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from facet.keys import ARTIFACT_SUFFIX, IMAGE_SUFFIXES, upload_key, version_id
from facet.stack import Address
from local.moto.aws import client

ONBOARDING_SECONDS = 120.0
POLL_SECONDS = 0.1


class DemoFailed(Exception):
    """A sample was not onboarded, or an image got no answer."""


@dataclass(frozen=True)
class SampleImage:
    """An encoded image and the model to ask about it."""

    model: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Answer:
    """The best label of an image; `milliseconds` from request to answer."""

    label: str
    score: float
    milliseconds: float


class Demo:
    """A client of a running stack."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._api = httpx.Client(
            base_url=address.url, headers={"x-api-key": address.api_key}, timeout=60
        )
        self._s3 = client("s3", address.endpoint_url)

    def has(self, artifact: Path) -> bool:
        """Whether `<model>.tar.gz` is READY already."""
        return bool(self._status(model_of(artifact), version_of(artifact))["status"] == "READY")

    def onboard(self, artifact: Path) -> None:
        """Uploads `<model>.tar.gz` and waits until it is READY.

        Raises TourFailed with the violations where it is rejected.
        """
        model = model_of(artifact)
        self._s3.put_object(
            Bucket=self._address.bucket, Key=upload_key(model), Body=artifact.read_bytes()
        )
        self._wait_for(model, version_of(artifact))

    def predict(self, image: SampleImage) -> Answer:
        """Sends one image. Raises TourFailed."""
        start = time.perf_counter()
        answer = self._api.post(f"/models/{image.model}/predict", content=image.content)
        milliseconds = (time.perf_counter() - start) * 1000
        if answer.status_code != httpx.codes.OK:
            raise DemoFailed(f"{image.name}: {answer.status_code} {answer.text}")
        best = answer.json()["predictions"][0]
        return Answer(best["label"], best["score"], milliseconds)

    def _wait_for(self, model: str, version: str) -> None:
        deadline = time.monotonic() + ONBOARDING_SECONDS
        while time.monotonic() < deadline:
            found = self._status(model, version)
            if found["status"] == "READY":
                return
            if found["status"] == "REJECTED":
                reasons = "; ".join(
                    f"{each['code']} ({each['place']}): {each['problem']}"
                    for each in found["violations"]
                )
                raise DemoFailed(f"{model}: {reasons}")
            time.sleep(POLL_SECONDS)
        raise DemoFailed(f"{model} was not onboarded in {ONBOARDING_SECONDS:.0f} s")

    def _status(self, model: str, version: str) -> dict[str, Any]:
        answer = self._api.get(f"/models/{model}")
        if answer.status_code == httpx.codes.OK:
            for each in answer.json()["versions"]:
                if each["version"] == version:
                    return dict(each)
        return {"status": "UNKNOWN"}


def model_of(artifact: Path) -> str:
    """The name under which a file is uploaded."""
    return artifact.name.removesuffix(ARTIFACT_SUFFIX)


def version_of(artifact: Path) -> str:
    """The id that the registry gives a file's bytes."""
    with artifact.open("rb") as file:
        return version_id(hashlib.file_digest(file, "sha256").hexdigest())


def artifacts(samples: Path) -> list[Path]:
    """The sample artifacts; a file's name is its model's."""
    return sorted(samples.glob(f"*{ARTIFACT_SUFFIX}"))


def images(samples: Path) -> Iterator[SampleImage]:
    """The sample images, `images/<model>/<name>`; then, where `FACET_DATA` names a folder of
    data sets, one test image of each class."""
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
