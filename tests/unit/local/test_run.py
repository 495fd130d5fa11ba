"""local/run.py: what `make run` does if a sample cannot be answered."""

import threading
from pathlib import Path
from typing import cast

import pytest

from local import run
from local.demo import Answer, Demo, NotAnswered, SampleImage


class Samples:
    """A demo whose samples are onboarded; the model `cifar` answers nowhere."""

    def has(self, _: Path) -> bool:
        return True

    def predict(self, image: SampleImage) -> Answer:
        if image.model == "cifar":
            raise NotAnswered(f"{image.name}: There is no endpoint. (status 503)")
        return Answer("1", 0.9, 12.0)


def shown(*, endpoint: bool) -> list[str]:
    lines: list[str] = []
    demo = cast("Demo", Samples())
    run._show_samples(demo, threading.Event(), lines.append, endpoint=endpoint)
    return lines


def test_without_an_endpoint_the_stack_serves_although_a_version_waits_for_its_proof() -> None:
    """Stopping would keep the sweeper from having it proven in the function."""
    lines = shown(endpoint=False)
    assert any("cifar" in line and "status 503" in line for line in lines)
    assert any("sign-language" in line and "0.900" in line for line in lines)


def test_with_an_endpoint_a_sample_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(NotAnswered):
        shown(endpoint=True)
