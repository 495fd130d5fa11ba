"""Requests of different heads that arrive together share a batch of their backbone."""

import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from prometheus_client.parser import text_string_to_metric_families

from facet.errors import ModelFailed
from facet.heads import runner
from facet.heads.weights import HeadAnswer
from facet.manifest import BackboneManifest
from facet.places.endpoint import Endpoint
from facet.registry.models import Version
from tests.integration.serving.conftest import ContainerProcess, StartContainer
from tests.support.inputs import heads
from tests.support.stacks import ROOT
from tests.support.versions import backbone

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

HEADS = 4
NAME = "b" * 32


class Client:
    """SageMaker's runtime client, of a container that has loaded the target as NAME."""

    def __init__(self, container: ContainerProcess) -> None:
        self._container = container

    def invoke_endpoint(self, *, Body: bytes, **_: str) -> dict[str, Any]:  # noqa: N803
        answer = self._container.invoke(NAME, json.loads(Body))
        assert answer.status_code == 200, answer.text
        return {"Body": io.BytesIO(answer.content)}


@pytest.fixture
def container(start_container: StartContainer, tmp_path: Path) -> ContainerProcess:
    """It has the sample backbone, and waits for as many requests as there are heads."""
    with tarfile.open(ROOT / "samples/backbone.tar.gz") as artifact:
        artifact.extractall(tmp_path, filter="data")
    started = start_container(
        SAGEMAKER_TFS_MAX_BATCH_SIZE=str(HEADS), SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS="20000000"
    )
    assert started.load(NAME, tmp_path).status_code == 200
    return started


def batches(container: ContainerProcess) -> tuple[float, float]:
    """How many there were, and the requests in them."""
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(container.http.get("/metrics").text)
        for sample in family.samples
    }
    return samples["facet_batch_requests_count"], samples["facet_batch_requests_sum"]


def test_requests_of_different_heads_are_computed_together(
    container: ContainerProcess, tmp_path: Path
) -> None:
    manifest = BackboneManifest.model_validate_json((tmp_path / "facet.json").read_bytes())
    version: Version = replace(backbone(1), manifest=manifest)
    taught = [heads.head(width=manifest.width, seed=seed) for seed in range(HEADS)]
    images = np.random.default_rng(0).integers(0, 256, (HEADS, 32, 32, 3), np.uint8)
    endpoint = Endpoint(cast("SageMakerRuntimeClient", Client(container)), "endpoint")

    def ask(at: int) -> HeadAnswer | ModelFailed:
        (answer,) = runner.answers(endpoint, version, taught[at], [images[at]], "request")
        return answer

    with ThreadPoolExecutor(HEADS) as pool:
        answers = [*pool.map(ask, range(HEADS))]
    assert batches(container) == (1, HEADS)

    interpreter = Interpreter(str(tmp_path / "1/assets.extra/model.tflite"))
    model = interpreter.get_signature_runner(manifest.input.signature)
    features = [model(image=images[at : at + 1])["features"] for at in range(HEADS)]
    for head, row, answer in zip(taught, features, answers, strict=True):
        assert isinstance(answer, HeadAnswer)
        (expected,) = head.answer(row)
        np.testing.assert_allclose(answer.scores, expected.scores, atol=1e-5)
    assert len({answer.scores.tobytes() for answer in answers}) == HEADS  # type: ignore[union-attr]
