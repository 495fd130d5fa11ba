"""local/demo.py: the samples of a start on a machine where functions start slowly."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cli.client.api import Api, ApiError
from cli.client.stack import Stack
from local.demo import Demo, DemoFailed, SampleImage, version_of
from tests.support.stacks import ROOT
from tests.support.verifying import Answers

SAMPLE = ROOT / "samples/cifar.tar.gz"
IMAGE = SampleImage("cifar", "cat.jpg", b"image")
TIMED_OUT = (504, b'{"message": "Endpoint request timed out"}')
FAILED = (502, b'{"message": "Internal server error"}')


def demo(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, bytes]) -> Demo:
    """The demo of a stack whose API answers so."""
    api = Api("https://api.example/v1", "key", pool=Answers(*answers))
    monkeypatch.setattr("local.demo.connect", lambda _: api)
    return Demo(cast("Stack", SimpleNamespace(bucket="bucket", client=lambda _: None)))


def ready(artifact: Path) -> tuple[int, bytes]:
    versions = [{"version": version_of(artifact), "status": "READY"}]
    return 200, json.dumps({"versions": versions}).encode()


def test_what_the_gateway_gave_up_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo(monkeypatch, TIMED_OUT, TIMED_OUT, ready(SAMPLE)).has(SAMPLE)
    answered = 200, json.dumps({"predictions": [{"label": "cat", "score": 0.9}]}).encode()
    assert demo(monkeypatch, TIMED_OUT, answered).predict(IMAGE).label == "cat"


def test_but_not_for_ever_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.demo.ONBOARDING_SECONDS", 0.0)
    with pytest.raises(ApiError, match="timed out"):
        demo(monkeypatch, TIMED_OUT).has(SAMPLE)
    with pytest.raises(DemoFailed, match="status 504"):
        demo(monkeypatch, TIMED_OUT).predict(IMAGE)
    with pytest.raises(DemoFailed, match="status 502"):
        demo(monkeypatch, FAILED, ready(SAMPLE)).predict(IMAGE)
